import * as http from 'node:http'
import * as http2 from 'node:http2'
import type * as net from 'node:net'
import { getOption } from '../../lib'
import { makeCertificate, type Certificate } from '../helpers/certificate'
import { closeLater, listen } from '../sockets'
import { linesOf, run, timeWaits, type RunOptions } from './registered'
import { FOREIGN } from '../helpers/foreign-address'

/** 12 bytes of each segment are timestamps. */
const TIMESTAMPS = 12
const SEGMENT = 1000 - TIMESTAMPS

const plainWays = [
  'net.connect',
  'socket.connect',
  'import net',
  'a dead address first',
  'a lookup in the same tick',
  'a local address',
  'http',
  'http.Agent',
  'fetch',
]
const tlsWays = ['tls.connect', 'tls.connect, two addresses', 'tls over net', 'https', 'http2']

interface Target {
  port: number
  /** The largest segment that may be sent on each connection, in order. */
  segments: number[]
  sources: (string | undefined)[]
}

async function serve(certificate?: Certificate): Promise<Target> {
  const answer = (_: unknown, response: { end: (text: string) => unknown }): void => {
    response.end('answer')
  }
  const server =
    certificate === undefined
      ? http.createServer(answer)
      : http2.createSecureServer({ ...certificate, allowHTTP1: true }, answer)
  const segments: number[] = []
  const sources: (string | undefined)[] = []
  const open = new Set<net.Socket>()
  server.on('connection', (socket: net.Socket) => {
    segments.push(getOption(socket, 'TCP_MAXSEG'))
    sources.push(socket.remoteAddress)
    open.add(socket)
  })
  closeLater(() => {
    for (const socket of open) socket.destroy()
  })
  return { port: await listen(server), segments, sources }
}

interface ClientTask {
  port: number
  ways: readonly string[]
  ca?: string
  localAddress?: string
}

/** Runs the client, which must succeed, and returns its standard error. */
async function askFrom(task: ClientTask, options: RunOptions): Promise<string> {
  const ended = await run('register-client-program.js', [JSON.stringify(task)], options)
  // If it fails, the diff shows its standard error.
  expect(ended).toEqual({
    status: 0,
    stdout: JSON.stringify(task.ways),
    stderr: ended.status === 0 ? ended.stderr : '',
  })
  return ended.stderr
}

const certificate = makeCertificate()
const ca = certificate.cert

describe.each(['--require', '--import'] as const)('register by %s', (how) => {
  const configuration = { clients: { settings: { TCP_MAXSEG: 1000 } } }

  it('sets options before connect(2) on every connection, and prints nothing', async () => {
    const target = await serve()
    const task = { port: target.port, ways: plainWays }
    expect(await askFrom(task, { how, configuration })).toBe('')
    expect(target.segments).toEqual(plainWays.map(() => SEGMENT))
  })

  it('sets options before connect(2) on every TLS connection', async () => {
    const target = await serve(certificate)
    const task = { port: target.port, ways: tlsWays, ca }
    expect(await askFrom(task, { how, configuration })).toBe('')
    expect(target.segments).toEqual(tlsWays.map(() => SEGMENT))
  })
})

describe('register without a configuration', () => {
  it.each([
    ['SOCKET_TUNER is not set', undefined],
    ['it is empty', ''],
    ['it has no sections', {}],
  ])('changes no connection if %s', async (_, configuration) => {
    const target = await serve()
    const task = { port: target.port, ways: plainWays }
    expect(await askFrom(task, { configuration, cwd: '/' })).toBe('')
    expect(target.segments).toHaveLength(plainWays.length)
    expect(Math.min(...target.segments)).toBeGreaterThan(SEGMENT)
  })
})

describe('a client under register', () => {
  // In these ways the client closes first.
  const closing = ['net.connect', 'socket.connect', 'http.Agent']
  const closingTls = ['tls.connect', 'tls.connect, two addresses', 'tls over net']

  it('leaves no TIME_WAIT with close mode deliver, and one per connection without it', async () => {
    const target = await serve()
    const task = { port: target.port, ways: closing }
    await askFrom(task, { configuration: { clients: { close: 'deliver' } } })
    expect(await timeWaits({ remotePort: target.port })).toBe(0)
    await askFrom(task, { configuration: { clients: { settings: { IP_TTL: 61 } } } })
    expect(await timeWaits({ remotePort: target.port })).toBe(closing.length)
  })

  it('leaves no TIME_WAIT over TLS, even if TLS is added to an existing connection', async () => {
    const target = await serve(certificate)
    const task = { port: target.port, ways: closingTls, ca }
    await askFrom(task, { configuration: { clients: { close: 'deliver' } } })
    expect(target.segments).toHaveLength(closingTls.length)
    expect(await timeWaits({ remotePort: target.port })).toBe(0)
  })

  it('rotates the sources, unless the program passes its own address', async () => {
    const target = await serve()
    const ways = ['net.connect', 'http', 'a local address', 'socket.connect', 'net.connect']
    const source = ['127.0.0.5', '127.0.0.6', '::1']
    await askFrom({ port: target.port, ways }, { configuration: { clients: { source } } })
    const used = target.sources.filter((address) => address !== '127.0.0.3')
    expect(used).toHaveLength(4)
    expect(new Set(used)).toEqual(new Set(['127.0.0.5', '127.0.0.6']))
  })

  it('is tuned if it matches', async () => {
    const [one, other] = [await serve(), await serve()]
    const settings = { TCP_MAXSEG: 1000 }
    const ways = ['net.connect', 'a dead address first']
    const match = { ports: [one.port], addresses: ['127.0.0.0/30'] }
    const configuration = { clients: { settings, close: 'deliver', match } }
    await askFrom({ port: one.port, ways }, { configuration })
    await askFrom({ port: other.port, ways }, { configuration })
    expect(one.segments).toEqual([SEGMENT, SEGMENT])
    expect(Math.min(...other.segments)).toBeGreaterThan(SEGMENT)
    expect(await timeWaits({ remotePort: one.port })).toBe(0)
    expect(await timeWaits({ remotePort: other.port })).toBe(2)
  })

  it('is not changed if the program itself tunes it with this library', async () => {
    const target = await serve()
    const configuration = { clients: { settings: { IP_TTL: 77 }, close: 'deliver' } }
    const { port } = target
    const ended = await run('register-explicit-program.js', [String(port)], { configuration })
    expect(ended).toMatchObject({ status: 0, stderr: '' })
    expect(JSON.parse(ended.stdout)).toMatchObject({ ttl: [61, 61, 77], mode: 'deliver' })
    // closeSocket() closes the first connection, Node the second one, and its own close mode the third one.
    expect(await timeWaits({ remotePort: port })).toBe(1)
  })
})

describe('a setting that the kernel refuses', () => {
  it('is ignored with a warning, and the other settings are applied', async () => {
    const target = await serve()
    const settings = { TCP_CONGESTION: 'no such', TCP_MAXSEG: 1000 }
    const task = { port: target.port, ways: plainWays }
    const stderr = await askFrom(task, { configuration: { clients: { settings } } })
    expect(stderr).toMatch(
      /\[SOCKET_TUNER_NOT_TUNED\] SocketTunerWarning: clients\.settings\.TCP_CONGESTION is ignored/,
    )
    expect(stderr.match(/Warning/g)).toHaveLength(1)
    expect(target.segments).toEqual(plainWays.map(() => SEGMENT))
  })

  it('causes no warning if it is an IPv6 option and the connection is IPv4', async () => {
    const target = await serve()
    const settings = { IPV6_UNICAST_HOPS: 7, TCP_MAXSEG: 1000 }
    const task = { port: target.port, ways: plainWays }
    expect(await askFrom(task, { configuration: { clients: { settings } } })).toBe('')
    expect(target.segments).toEqual(plainWays.map(() => SEGMENT))
  })
})

describe('a source that is not an address of this host', () => {
  it('causes one warning, and the connection is made without it', async () => {
    const target = await serve()
    const task = { port: target.port, ways: plainWays }
    const clients = { source: FOREIGN, settings: { TCP_MAXSEG: 1000 } }
    const stderr = await askFrom(task, { configuration: { clients } })
    expect(stderr).toMatch(
      new RegExp(`SOCKET_TUNER_NOT_TUNED.* is not tuned: bind EADDRNOTAVAIL ${FOREIGN}`),
    )
    expect(stderr.match(/Warning/g)).toHaveLength(1)
    expect(target.sources).toHaveLength(plainWays.length)
  })
})

describe('SOCKET_TUNER_DEBUG', () => {
  it('logs each attempt to connect, and a summary', async () => {
    const { port } = await serve()
    const clients = { settings: { TCP_MAXSEG: 1000 }, close: 'deliver' }
    const ways = ['net.connect', 'a dead address first', 'a local address']
    const options = { configuration: { clients }, debug: true }
    const to = (address: string): string => `client ${address}:${String(port)}: TCP_MAXSEG 1000`
    expect(linesOf(await askFrom({ port, ways }, options))).toEqual([
      `${to('127.0.0.1')}; closes: deliver`,
      `${to('127.0.0.9')}; closes: deliver`,
      `${to('127.0.0.1')}; closes: deliver`,
      `${to('127.0.0.1')}; bound by the program; closes: deliver`,
      'clients: 4 attempts tuned, 0 left alone, 0 not tuned; closes: 3 deliver; fallbacks: none; 0 left TIME_WAIT; 0 bytes discarded',
    ])
  })

  it('reports that there is no configuration', async () => {
    const { stderr } = await run('register-quiet-program.js', [], { debug: true, cwd: '/' })
    expect(linesOf(stderr)).toEqual([
      'nothing is tuned: neither SOCKET_TUNER nor socket-tuner.json exists',
    ])
  })
})

it('register is invisible to a program that inspects itself', async () => {
  const clients = { settings: { TCP_MAXSEG: 1000 }, close: 'deliver' }
  const configuration = { clients, servers: clients }
  const [without, with_] = [
    await run('register-quiet-program.js', [], { how: undefined }),
    await run('register-quiet-program.js', [], { configuration }),
  ]
  expect(without).toMatchObject({ status: 0, stderr: '' })
  expect(without.stdout).toContain('ECONNREFUSED')
  expect(with_).toEqual(without)
})
