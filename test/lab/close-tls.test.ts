import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import * as path from 'node:path'
import type { CloseReport } from '../../lib'
import { type Certificate, makeCertificate } from '../helpers/certificate'
import { type CycleConfig, expectNothingLost, runCycles } from '../helpers/cycles'
import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'

const needs = ['root', 'ip', 'openssl'] as const

const deliver: [string, CycleConfig['way'], closeNotify: boolean, cycles: number][] = [
  ['closeSocket', 'closeSocket', true, 1_500],
  ['closeSocket without close_notify', 'closeSocket', false, 500],
  ["destroySoon() after setCloseMode(socket, 'deliver')", 'destroySoon', true, 500],
  ["destroy() after setCloseMode(socket, 'deliver')", 'destroy', true, 500],
]

labDescribe("a TLS client that closes in mode 'deliver'", needs, () => {
  const namespace = useNamespace()

  it.each(deliver)(
    'loses nothing and leaves no TIME_WAIT by %s',
    async (_, way, closeNotify, cycles) => {
      const run = await runCycles(namespace(), {
        way,
        mode: 'deliver',
        options: { closeNotify },
        host: '127.0.0.1',
        cycles,
        certificate: makeCertificate(),
      })
      expectNothingLost(run, cycles)
      expect(run.timeWaits.client).toBe(0)
      // A fast server may answer close_notify by its own close, and then close first.
      if (!closeNotify) expect(run.timeWaits.server).toBe(0)
    },
  )
})

labDescribe('close_notify, seen by openssl s_server', needs, () => {
  const CONNECTIONS = 20
  const PORT = 4433
  const namespace = useNamespace()
  let certificate: Certificate
  let directory: string

  beforeAll(() => {
    certificate = makeCertificate()
    directory = mkdtempSync(path.join(tmpdir(), 'socket-tuner-'))
    writeFileSync(path.join(directory, 'both.pem'), certificate.key + certificate.cert)
  })
  afterAll(() => {
    rmSync(directory, { recursive: true })
  })

  /** Returns the number of connections that ended by the alert, according to the server's decryption. */
  async function alertsReceived(closeNotify: boolean): Promise<number> {
    const files = ['-cert', path.join(directory, 'both.pem')]
    const server = namespace().spawn(
      ...(['openssl', 's_server', '-accept', String(PORT), ...files, '-rev', '-state'] as const),
    )
    await server.wrote(/^ACCEPT/m)
    const reports = (await namespace().perform('tls-line-client', {
      port: PORT,
      ca: certificate.cert,
      connections: CONNECTIONS,
      options: { mode: 'deliver', closeNotify },
    })) as CloseReport[]
    expect(reports.map(({ mode }) => mode)).toEqual(Array<string>(CONNECTIONS).fill('deliver'))
    await server.wrote(/CONNECTION CLOSED/, CONNECTIONS)
    await server.stop()
    return server.output.match(/alert read:warning:close notify/g)?.length ?? 0
  }

  it('is received with every close', async () => {
    expect(await alertsReceived(true)).toBe(CONNECTIONS)
  })

  it('is not sent with closeNotify: false', async () => {
    expect(await alertsReceived(false)).toBe(0)
  })
})
