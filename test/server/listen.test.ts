import { execFile } from 'node:child_process'
import { once } from 'node:events'
import * as http from 'node:http'
import * as http2 from 'node:http2'
import * as net from 'node:net'
import { join } from 'node:path'
import * as tls from 'node:tls'
import { promisify } from 'node:util'
import { configure, getOption, listen, tcpInfo, type ListenOptions } from '../../lib'
import { policyOf } from '../../lib/close/hooks'
import { listenBacklogLimit } from '../../lib/kernel/proc'
import { errorOf, expectNoMoreThan, openDescriptors } from '../connect/descriptors'
import { coded } from '../helpers/coded'
import { closeLater, destroyLater, loopback } from '../sockets'
import { FOREIGN } from '../helpers/foreign-address'

const host = loopback[4]

function serverOf<T extends net.Server>(server: T): T {
  closeLater(() => server.close())
  return server
}

async function connected(port: number, to: string = host): Promise<net.Socket> {
  const socket = net.connect(port, to)
  destroyLater(socket)
  await once(socket, 'connect')
  return socket
}

describe('listen()', () => {
  it.each<[string, () => net.Server]>([
    ['net', () => net.createServer()],
    ['http', () => http.createServer()],
    ['http2', () => http2.createServer()],
    ['tls', () => tls.createServer()],
  ])('makes a %s server listen with its settings in force', async (_, make) => {
    const server = serverOf(make())
    const address = await listen(server, {
      host,
      settings: { SO_RCVBUF: 16_384, TCP_KEEPIDLE: 44 },
    })
    expect(address).toEqual({ address: host, family: 'IPv4', port: address.port })
    expect(server.listening).toBe(true)
    expect(server.address()).toEqual(address)
    expect(getOption(server, 'SO_RCVBUF')).toBe(32_768)
    expect(getOption(server, 'TCP_KEEPIDLE')).toBe(44)
    expect(getOption(server, 'SO_REUSEADDR')).toBe(true)
    await connected(address.port)
  })

  it('passes the settings on to its connections', async () => {
    const server = serverOf(net.createServer())
    const settings = { TCP_NODELAY: true, TCP_MAXSEG: 900 }
    const { port } = await listen(server, { host, settings })
    const [[accepted], client] = (await Promise.all([
      once(server, 'connection'),
      connected(port),
    ])) as [[net.Socket], net.Socket]
    destroyLater(accepted)
    expect(getOption(accepted, 'TCP_NODELAY')).toBe(true)
    expect([888, 900]).toContain(getOption(client, 'TCP_MAXSEG'))
  })

  it('listens on all addresses if there is no host, and on all IPv6 addresses with ipv6Only', async () => {
    const both = await listen(serverOf(net.createServer()))
    await connected(both.port)
    await connected(both.port, '::1')
    const server = serverOf(net.createServer())
    const six = await listen(server, { ipv6Only: true })
    expect(six.family).toBe('IPv6')
    await connected(six.port, '::1')
    const refused = net.connect(six.port, host)
    const error = await errorOf(refused)
    expect(error).toMatchObject({ code: 'ECONNREFUSED' })
  })

  it('treats an empty host as missing, as Node does', async () => {
    const { port } = await listen(serverOf(net.createServer()), { host: '' })
    await connected(port)
    await connected(port, '::1')
  })

  it('accepts a host name', async () => {
    const { address } = await listen(serverOf(net.createServer()), { host: 'localhost' })
    expect([loopback[4], loopback[6]]).toContain(address)
  })

  it('can share a port with SO_REUSEPORT, even on Node 20', async () => {
    const settings = { SO_REUSEPORT: true }
    const { port } = await listen(serverOf(net.createServer()), { host, settings })
    expect(await listen(serverOf(net.createServer()), { host, port, settings })).toMatchObject({
      port,
    })
    await expect(listen(net.createServer(), { host, port })).rejects.toThrow(coded('EADDRINUSE'))
  })

  it('names another socket on the port, without SO_REUSEPORT, as the cause', async () => {
    const { port } = await listen(serverOf(net.createServer()), { host })
    const settings = { SO_REUSEPORT: true }
    await expect(listen(net.createServer(), { host, port, settings })).rejects.toMatchObject({
      code: 'EADDRINUSE',
      message: expect.stringContaining('has this port without SO_REUSEPORT') as string,
    })
  })

  it("makes a cluster worker listen on its own socket, not the primary's", async () => {
    const program = join(__dirname, 'cluster-listen-program.js')
    const { stdout } = await promisify(execFile)(process.execPath, [program], { timeout: 20_000 })
    const said = JSON.parse(stdout) as { port: number }[]
    expect(said).toEqual(Array(2).fill({ port: said[0]?.port, own: true, ownPath: true }))
  })

  it('passes the backlog to listen(2)', async () => {
    const server = serverOf(net.createServer())
    await listen(server, { host, backlog: 7 })
    // On a listening socket this is the limit of the accept queue.
    expect(tcpInfo(server).sacked).toBe(7)
  })

  it('sets the close mode of its connections', async () => {
    const server = serverOf(net.createServer())
    const { port } = await listen(server, { host, close: 'deliver' })
    expect(getOption(server, 'TCP_LINGER2')).toBe(-1)
    const [[accepted]] = (await Promise.all([once(server, 'connection'), connected(port)])) as [
      [net.Socket],
      net.Socket,
    ]
    destroyLater(accepted)
    expect(policyOf(accepted)?.options.mode.name).toBe('deliver')
  })

  it('warns if net.core.somaxconn limits the backlog', async () => {
    configure({ hazards: 'throw' })
    const limit = listenBacklogLimit() ?? 0
    const server = net.createServer()
    await expect(listen(server, { host, backlog: limit + 1 })).rejects.toMatchObject({
      code: 'ERR_SOCKET_TUNER_HAZARD',
      warning: 'SOCKET_TUNER_BACKLOG_CUT',
      message: expect.stringContaining(`cut to ${String(limit)}`) as string,
    })
    expect(server.listening).toBe(false)
    await listen(serverOf(server), { host, backlog: limit })
  })
})

describe('listen() that fails', () => {
  it("rejects with Node's error for a port in use, and leaves no descriptor open", async () => {
    const { port } = await listen(serverOf(net.createServer()), { host })
    const before = openDescriptors()
    const server = net.createServer()
    await expect(listen(server, { host, port, close: 'deliver' })).rejects.toMatchObject({
      message: `listen EADDRINUSE: address already in use ${host}:${String(port)}: another socket has this port; \`ss -ltnp sport = :${String(port)}\` shows which`,
      code: 'EADDRINUSE',
      syscall: 'listen',
      address: host,
      port,
    })
    await expectNoMoreThan(before)
    expect(server.listening).toBe(false)
    expect(server.listenerCount('connection')).toBe(0)
    // The server can listen afterwards.
    await listen(serverOf(server), { host })
  })

  it('rejects with EACCES for a privileged port', async () => {
    const root = process.geteuid?.() === 0
    if (root) process.seteuid?.(65_534)
    try {
      await expect(listen(serverOf(net.createServer()), { host, port: 81 })).rejects.toMatchObject({
        code: 'EACCES',
        syscall: 'listen',
        port: 81,
        message: expect.stringMatching(
          /port 81 is privileged \(net.ipv4.ip_unprivileged_port_start = \d+\); give .*CAP_NET_BIND_SERVICE/,
        ) as string,
      })
    } finally {
      if (root) process.seteuid?.(0)
    }
  })

  it('rejects with EADDRNOTAVAIL for an address that is not of this host', async () => {
    await expect(listen(net.createServer(), { host: FOREIGN })).rejects.toMatchObject({
      code: 'EADDRNOTAVAIL',
      syscall: 'listen',
      address: FOREIGN,
    })
  })

  const cases: [string, unknown, string][] = [
    ['options that are null', null, 'ERR_INVALID_ARG_TYPE'],
    ['a port out of range', { port: 65_536 }, 'ERR_OUT_OF_RANGE'],
    ['a fraction of a port', { port: 1.5 }, 'ERR_OUT_OF_RANGE'],
    ['a port as a string', { port: '80' }, 'ERR_INVALID_ARG_TYPE'],
    ['a host that is a number', { host: 7 }, 'ERR_INVALID_ARG_TYPE'],
    ['a backlog of -1', { backlog: -1 }, 'ERR_OUT_OF_RANGE'],
    ['a backlog of 0', { backlog: 0 }, 'ERR_OUT_OF_RANGE'],
    ['a backlog of NaN', { backlog: NaN }, 'ERR_OUT_OF_RANGE'],
    ['ipv6Only that is no boolean', { ipv6Only: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [
      "reusePort, which is Node's name of SO_REUSEPORT",
      { reusePort: true },
      'ERR_INVALID_ARG_VALUE',
    ],
    ['an unknown close mode', { close: 'soon' }, 'ERR_INVALID_ARG_VALUE'],
    ['an unknown setting', { settings: { NOTHING: 1 } }, 'ERR_SOCKET_TUNER_UNKNOWN_OPTION'],
    [
      'an option that Linux lacks',
      { settings: { IP_BOUND_IF: 1 } },
      'ERR_SOCKET_TUNER_UNSUPPORTED',
    ],
    [
      'an option of the other family',
      { host, settings: { IPV6_V6ONLY: true } },
      'ERR_SOCKET_TUNER_WRONG_SOCKET',
    ],
  ]

  it.each(cases)('refuses %s', async (_, options, code) => {
    const before = openDescriptors()
    const server = net.createServer()
    await expect(listen(server, options as ListenOptions)).rejects.toThrow(coded(code))
    expect(openDescriptors()).toBe(before)
    expect(server.listening).toBe(false)
  })

  it('refuses a value that is not a server, and a server that already listens', async () => {
    await expect(listen({} as unknown as net.Server)).rejects.toThrow(coded('ERR_INVALID_ARG_TYPE'))
    const server = serverOf(net.createServer())
    await listen(server, { host })
    await expect(listen(server, { host })).rejects.toThrow(coded('ERR_SERVER_ALREADY_LISTEN'))
  })
})
