import { once } from 'node:events'
import * as net from 'node:net'
import { getOption } from '../../lib'
import { timeWaitsLeft } from '../helpers/left-states'
import type { Connection } from '../helpers/tcp-table'
import { closeLater } from '../sockets'
import { linesOf, Registered, type Ended } from './registered'

const KEPT = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'
/** 12 bytes of each segment are timestamps. */
const SEGMENT = 1000 - 12

interface Exchange {
  /** The largest segment that the server allowed its client to send. */
  segment: number
  /** The server's end of the connection. */
  end: Connection
}

async function askServer(port: number): Promise<Exchange> {
  const socket = net.connect(port, '127.0.0.1')
  let segment = 0
  let clientPort = 0
  let answer = ''
  socket.setEncoding('latin1').on('data', (text: string) => (answer += text))
  socket.on('connect', () => {
    segment = getOption(socket, 'TCP_MAXSEG')
    clientPort = socket.localPort ?? 0
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  })
  await new Promise((resolve, reject) => {
    socket.on('close', resolve)
    socket.on('error', reject)
  })
  expect(answer).toMatch(/^HTTP\/1\.1 200 OK[^]*answer/)
  return { segment, end: { localPort: port, remotePort: clientPort } }
}

describe('a server under register', () => {
  const REQUESTS = 10

  interface Answered {
    ended: Ended
    port: number
    ends: Connection[]
  }

  async function askAll(program: Registered): Promise<Answered> {
    const port = await program.port()
    const ends: Connection[] = []
    for (let request = 0; request < REQUESTS; request++) {
      const { segment, end } = await askServer(port)
      expect(segment).toBeLessThanOrEqual(SEGMENT)
      ends.push(end)
    }
    return { ended: await program.stop(), port, ends }
  }

  const tuned = { servers: { settings: { TCP_MAXSEG: 1000 }, close: 'deliver', backlog: 100 } }

  it.each([
    ['in a process', 'process'],
    ['in a worker thread', 'thread'],
    ['in a cluster worker', 'cluster'],
    ['when it listens again', 'again'],
  ])('is tuned, and leaves no TIME_WAIT (%s)', async (_, how) => {
    const program = new Registered('register-server-program.js', [how], { configuration: tuned })
    const { ended, ends } = await askAll(program)
    expect(ended).toMatchObject({ status: 0, stderr: '' })
    expect(await timeWaitsLeft(ends)).toBe(0)
  })

  it('leaves TIME_WAIT for each connection that it closes without a close mode', async () => {
    const configuration = { servers: { settings: { TCP_MAXSEG: 1000 } } }
    const program = new Registered('register-server-program.js', ['process'], { configuration })
    const { ended, ends } = await askAll(program)
    expect(ended).toMatchObject({ status: 0, stderr: '' })
    expect(await timeWaitsLeft(ends)).toBe(REQUESTS)
  })

  it('is not changed if it does not match', async () => {
    const servers = { ...tuned.servers, match: { ports: [1] } }
    const configuration = { servers }
    const program = new Registered('register-server-program.js', ['process'], { configuration })
    const port = await program.port()
    const { segment, end } = await askServer(port)
    expect(segment).toBeGreaterThan(SEGMENT)
    await program.stop()
    expect(await timeWaitsLeft([end])).toBe(1)
  })

  it('ends each connection after its maximum number of requests', async () => {
    const configuration = { servers: { maxRequests: 2, maxConnectionAgeMs: 3_600_000 } }
    const options = { configuration, debug: true }
    const program = new Registered('register-server-program.js', ['process'], options)
    const port = await program.port()
    const client = net.connect(port, '127.0.0.1')
    closeLater(() => client.destroy())
    let answers = ''
    client.setEncoding('latin1').on('data', (text: string) => {
      answers += text
      if (answers.endsWith('answer') && !answers.includes('Connection: close')) client.write(KEPT)
    })
    client.write(KEPT)
    await once(client, 'end')
    expect(answers.match(/^Connection: .*$/gm)).toEqual([
      'Connection: keep-alive',
      'Connection: close',
    ])
    const { stderr } = await program.stop()
    expect(linesOf(stderr)[0]).toBe(
      `server [::]:${String(port)}: no options; connections end after 3600000 ms or 2 requests`,
    )
  })

  it('logs the changes to each socket and a summary if SOCKET_TUNER_DEBUG is set', async () => {
    const settings = { ...tuned.servers.settings, IP_BIND_ADDRESS_NO_PORT: true }
    const configuration = { servers: { ...tuned.servers, settings } }
    const options = { configuration, debug: true }
    const program = new Registered('register-server-program.js', ['process'], options)
    const { ended, port } = await askAll(program)
    const lines = linesOf(ended.stderr)
    expect(lines[0]).toBe(
      `server [::]:${String(port)}: TCP_MAXSEG 1000, ` +
        'IP_BIND_ADDRESS_NO_PORT too late (IP_BIND_ADDRESS_NO_PORT must be set before bind(): the socket is listening); ' +
        'backlog 100; closes: deliver',
    )
    expect(lines.filter((line) => line.startsWith('accepted'))).toHaveLength(REQUESTS)
    expect(lines.slice(-2)).toEqual([
      `server [::]:${String(port)}: closes: 10 deliver; fallbacks: none; 0 left TIME_WAIT; 0 bytes discarded`,
      'servers: 1 tuned',
    ])
  })
})
