import { once } from 'node:events'
import * as net from 'node:net'
import { lineOf } from '../../lib/cli/life-command'
import type { EndedConnection } from '../../lib/ports'
import { until } from '../helpers/until'
import { closeLater } from '../sockets'
import { Cli, print, run } from './run-cli'

const connection: EndedConnection = {
  time: 0,
  cookie: 7n,
  localAddress: '10.0.0.1',
  localPort: 40_000,
  remoteAddress: '10.0.0.2',
  remotePort: 443,
  pid: 4711,
  command: 'node',
  processFrom: 'socket',
  uid: 0,
  end: 'fin',
  closedBy: 'here',
  bytesSent: 2048,
  bytesAcked: 2050,
  bytesReceived: 512,
  unreadBytes: 0,
  segmentsSent: 9,
  segmentsReceived: 9,
  retransmits: 1,
  rttMicroseconds: 1234,
  minRttMicroseconds: 900,
  lifetimeMs: { min: 5, max: 800 },
}

const cellsOf = (change: Partial<EndedConnection>): string[] =>
  lineOf({ ...connection, ...change })
    .trim()
    .split(/ +/)

/** Opens and ends connections to a server until the command prints `text`. It may not have subscribed yet. */
async function endConnections(port: number, cli: Cli, text: string): Promise<void> {
  let isDone = false
  const printed = cli.printed(text).then(() => (isDone = true))
  const endOne = async (): Promise<boolean> => {
    const socket = net.connect(port, '127.0.0.1')
    await once(socket.resume().end(), 'close')
    return isDone
  }
  await until('its output', endOne, (done) => done)
  await printed
}

async function serve(): Promise<number> {
  const server = net.createServer((socket) => socket.resume().end('welcome'))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  closeLater(() => {
    server.close()
  })
  return (server.address() as net.AddressInfo).port
}

describe('a line of socket-tuner life', () => {
  it('has the columns of tcplife, the round-trip time, retransmits and who closed', () => {
    const expected = '4711 node 10.0.0.1 40000 10.0.0.2 443 2.0 0.5 5-800 1.23 1 here'
    expect(cellsOf({})).toEqual(expected.split(' '))
  })

  it.each<[string, Partial<EndedConnection>, number, string]>([
    ['marks a process that listens', { processFrom: 'listener' }, 0, '~4711'],
    ['does not name an unknown process', { pid: undefined }, 0, '-'],
    ['shows no escape sequence', { command: 'a\u001b[2J' }, 1, 'a?[2J'],
    ['shows the least lifetime', { lifetimeMs: { min: 5, max: undefined } }, 8, '5+'],
    ['shows an exact lifetime', { lifetimeMs: { min: 5, max: 5 } }, 8, '5'],
    ['shows that the peer closed', { closedBy: 'peer' }, 11, 'peer'],
    ['shows a FIN without its order', { closedBy: undefined }, 11, 'fin'],
    ['shows an abort', { end: 'abort', closedBy: undefined }, 11, 'abort'],
    ['shows that nothing is known', { end: undefined, closedBy: undefined }, 11, '-'],
  ])('%s', (_title, change, index, expected) => {
    expect(cellsOf(change)[index]).toBe(expected)
  })

  it('shows a reset without what the kernel forgot', () => {
    const none = { remotePort: undefined, bytesSent: undefined, bytesReceived: undefined }
    const line = cellsOf({
      ...none,
      end: 'reset',
      localAddress: undefined,
      retransmits: undefined,
      rttMicroseconds: undefined,
    })
    expect(line.join(' ')).toBe('4711 node - 40000 10.0.0.2 - - - 5-800 - - reset here')
  })
})

// Only Linux reports ended sockets.
const linux = process.platform === 'linux' ? describe : describe.skip

linux('socket-tuner life', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)('prints connections until %s', async (signal) => {
    const port = await serve()
    const cli = new Cli('life', '--remote-port', String(port))
    const closed = cli.closed()
    await endConnections(port, cli, ` ${String(port)} `)
    cli.child.kill(signal)
    const { code, stdout } = await closed
    expect(code).toBe(0)
    const [head = '', line = ''] = stdout.split('\n')
    expect(head).toMatch(/^ +PID COMM +LADDR +LPORT RADDR +RPORT +TX_KB/)
    expect(line).toMatch(new RegExp(` 127\\.0\\.0\\.1 +\\d+ 127\\.0\\.0\\.1 +${String(port)} `))
  })

  it('prints lines of JSON with --json', async () => {
    const port = await serve()
    const cli = new Cli('life', '--json', '--local-port', String(port))
    const closed = cli.closed()
    await endConnections(port, cli, '}\n')
    cli.child.kill('SIGINT')
    const { code, stdout } = await closed
    expect(code).toBe(0)
    expect(JSON.parse(stdout.split('\n')[0] ?? '')).toMatchObject({
      localAddress: '127.0.0.1',
      localPort: port,
      cookie: expect.stringMatching(/^\d+$/) as string,
    })
  })

  it('ends by itself after --seconds', async () => {
    const { code, stdout } = await run('life', '--seconds', '1', '--local-port', '9')
    expect(code).toBe(0)
    expect(stdout).toMatch(/CLOSED\n$/)
  })

  it.each([
    ['--seconds', '0'],
    ['--local-port', '65536'],
    ['--remote-port', 'x'],
  ])('refuses %s %s', async (flag, value) => {
    const { code, stdout, stderr } = await print('life', flag, value)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(flag)
  })
})
