/** A server that sends first and closes by `deliver`, and a client that is too busy to notice that it is connected. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import * as net from 'node:net'
import * as path from 'node:path'
import { text } from 'node:stream/consumers'
import { closeSocket, type Close, type CloseReport } from '../../lib'
import { readTable, stateOf } from '../helpers/tcp-table'
import { until } from '../helpers/until'
import { closeLater, listen } from '../sockets'

const greeting = '421 too many connections\r\n'

/** Greets a busy client and closes. The client continues when everything has arrived in its kernel. */
async function greet(close: Close): Promise<{ report: CloseReport; seen: unknown }> {
  const server = net.createServer()
  const port = await listen(server)
  const program = path.join(__dirname, 'silent-peer-program.js')
  const client = spawn(process.execPath, [program, String(port)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  closeLater(() => client.kill())
  const [accepted] = (await once(server, 'connection')) as [net.Socket]
  const ends = { localPort: port, remotePort: accepted.remotePort ?? 0 }
  accepted.write(greeting)
  const report = await closeSocket(accepted, close)
  await until(
    'the client has the FIN',
    () => stateOf(readTable(), ends),
    (state) => state === undefined || state === 'FIN_WAIT2',
  )
  client.stdin.end('!')
  return { report, seen: JSON.parse(await text(client.stdout)) }
}

describe("mode 'deliver' with a client that has not yet noticed that it is connected", () => {
  it("falls back to 'fin', and the client receives everything", async () => {
    const { report, seen } = await greet('deliver')
    expect(report).toMatchObject({ mode: 'fin', fallback: { code: 'silent-peer' } })
    expect(seen).toEqual({ bytes: greeting.length, ended: true })
  })

  it("makes the client's connect() fail with requirePeerData: false, as documented", async () => {
    const { report, seen } = await greet({ mode: 'deliver', requirePeerData: false })
    expect(report).toMatchObject({ mode: 'deliver', timeWait: 'avoided' })
    expect(report.fallback).toBeUndefined()
    expect(seen).toEqual({ bytes: 0, ended: false, error: 'EPIPE' })
  })
})
