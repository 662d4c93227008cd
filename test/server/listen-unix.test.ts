import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import * as http from 'node:http'
import * as http2 from 'node:http2'
import * as net from 'node:net'
import * as tls from 'node:tls'
import { configure, getOption, listen, type ListenOptions, type Settings } from '../../lib'
import { policyOf } from '../../lib/close/hooks'
import { expectNoMoreThan, openDescriptors } from '../connect/descriptors'
import { coded } from '../helpers/coded'
import { socketPath } from '../options/targets'
import { closeLater, destroyLater } from '../sockets'

function serverOf<T extends net.Server>(server: T): T {
  closeLater(() => server.close())
  return server
}

/** Connects to the server, and returns the accepted socket. */
async function connection(server: net.Server, path: string): Promise<net.Socket> {
  const accepted = once(server, 'connection') as Promise<[net.Socket]>
  destroyLater(net.connect(path))
  const [socket] = await accepted
  destroyLater(socket)
  return socket
}

describe('listen() on a path', () => {
  it.each<[string, () => net.Server]>([
    ['net', () => net.createServer()],
    ['http', () => http.createServer()],
    ['http2', () => http2.createServer()],
    ['tls', () => tls.createServer()],
  ])('makes a %s server listen, and applies the settings to each connection', async (_, make) => {
    const server = serverOf(make())
    const path = socketPath()
    const settings = { SO_SNDBUF: 50_000, SO_RCVBUF: 60_000 }
    const address: string = await listen(server, { path, settings })
    expect(address).toBe(path)
    expect(server.address()).toBe(path)
    for (let times = 0; times < 2; times++) {
      const accepted = await connection(server, path)
      expect(getOption(accepted, 'SO_SNDBUF')).toBe(100_000)
      expect(getOption(accepted, 'SO_RCVBUF')).toBe(120_000)
    }
  })

  // Abstract names exist only on Linux (unix(7)).
  const onLinux = process.platform === 'linux' ? it : it.skip
  onLinux('accepts an abstract name', async () => {
    const path = `\0socket-tuner-listen-${String(process.pid)}`
    const server = serverOf(net.createServer())
    expect(await listen(server, { path, settings: { SO_SNDBUF: 50_000 } })).toBe(path)
    expect(getOption(await connection(server, path), 'SO_SNDBUF')).toBe(100_000)
  })

  it('passes the backlog to listen(2)', async () => {
    const path = socketPath()
    await listen(serverOf(net.createServer(destroyLater)), { path, backlog: 3 })
    // connect(2) is called at once, but no connection is accepted in this turn of the event loop.
    const clients = Array.from({ length: 10 }, () => net.connect(path))
    const outcomes = await Promise.all(
      clients.map(async (client) => {
        destroyLater(client)
        return once(client, 'connect').then(
          () => 'connected',
          (error: unknown) => (error as NodeJS.ErrnoException).code,
        )
      }),
    )
    // The kernel admits one connection more than the backlog.
    expect(outcomes.filter((outcome) => outcome === 'connected')).toHaveLength(4)
    expect(outcomes.filter((outcome) => outcome === 'EAGAIN')).toHaveLength(6)
  })

  it('sets the close mode of its connections', async () => {
    const path = socketPath()
    const server = serverOf(net.createServer())
    await listen(server, { path, close: 'reset' })
    expect(policyOf(await connection(server, path))?.options.mode.name).toBe('reset')
  })

  it('does not warn about SO_LINGER, which unix-domain sockets do not inherit', async () => {
    configure({ hazards: 'throw' })
    const path = socketPath()
    const server = serverOf(net.createServer())
    await listen(server, { path, settings: { SO_LINGER: { enabled: true, seconds: 0 } } })
    const accepted = await connection(server, path)
    expect(getOption(accepted, 'SO_LINGER')).toEqual({ enabled: true, seconds: 0 })
  })
})

describe('listen() on a path with invalid options', () => {
  it.each<[keyof Settings, Settings]>([
    ['TCP_NODELAY', { TCP_NODELAY: true }],
    ['IP_TOS', { SO_SNDBUF: 50_000, IP_TOS: 8 }],
    // The kernel accepts these, and ignores them.
    ['SO_KEEPALIVE', { SO_KEEPALIVE: true }],
    ['SO_MARK', { SO_MARK: 1 }],
  ])('refuses %s, which has no effect on unix-domain sockets', async (option, settings) => {
    const path = socketPath()
    const server = net.createServer()
    await expect(listen(server, { path, settings })).rejects.toMatchObject({
      code: 'ERR_SOCKET_TUNER_WRONG_SOCKET',
      option,
      message: expect.stringContaining('is a unix-domain socket') as string,
    })
    expect(server.listening).toBe(false)
    expect(existsSync(path)).toBe(false)
  })

  it.each<[string, object, string]>([
    ['a port beside it', { port: 80 }, 'ERR_INVALID_ARG_VALUE'],
    ['a host beside it', { host: '127.0.0.1' }, 'ERR_INVALID_ARG_VALUE'],
    ['a descriptor beside it', { fd: 3 }, 'ERR_INVALID_ARG_VALUE'],
    ['ipv6Only beside it', { ipv6Only: true }, 'ERR_INVALID_ARG_VALUE'],
    ['mptcp beside it', { mptcp: true }, 'ERR_INVALID_ARG_VALUE'],
    ['an empty path', { path: '' }, 'ERR_INVALID_ARG_VALUE'],
    ['a path with a NUL', { path: '/tmp/a\0b' }, 'ERR_INVALID_ARG_VALUE'],
    // The path has 121 bytes, an address at most 108.
    [
      'a path that is too long for an address',
      { path: `/${'é'.repeat(60)}` },
      'ERR_INVALID_ARG_VALUE',
    ],
    ['a path that is not a string', { path: 7 }, 'ERR_INVALID_ARG_TYPE'],
    ['an unknown setting', { settings: { NOTHING: 1 } }, 'ERR_SOCKET_TUNER_UNKNOWN_OPTION'],
  ])('refuses %s', async (_, options, code) => {
    const path = socketPath()
    const before = openDescriptors()
    const server = net.createServer()
    const all = { path, ...options } as ListenOptions
    await expect(listen(server, all)).rejects.toThrow(coded(code))
    expect(openDescriptors()).toBe(before)
    expect(server.listening).toBe(false)
    expect(existsSync(path)).toBe(false)
  })

  it('treats false and undefined as missing options', async () => {
    const path = socketPath()
    const options = { path, host: undefined, ipv6Only: false, mptcp: false }
    expect(await listen(serverOf(net.createServer()), options)).toBe(path)
  })

  it('names an existing file as the cause, and leaves no descriptor open', async () => {
    const path = socketPath()
    writeFileSync(path, '')
    const before = openDescriptors()
    const server = net.createServer()
    await expect(listen(server, { path, close: 'reset' })).rejects.toMatchObject({
      code: 'EADDRINUSE',
      syscall: 'listen',
      address: path,
      message: expect.stringMatching(
        /^listen EADDRINUSE: address already in use .*: a server listens on this path, or .*Remove the file/,
      ) as string,
    })
    await expectNoMoreThan(before)
    expect(server.listenerCount('error') + server.listenerCount('listening')).toBe(0)
    expect(server.listenerCount('connection')).toBe(0)
    // The server can listen afterwards.
    const other = socketPath()
    expect(await listen(serverOf(server), { path: other })).toBe(other)
  })

  it('names a missing directory as the cause', async () => {
    await expect(listen(net.createServer(), { path: `${socketPath()}/no` })).rejects.toMatchObject({
      code: expect.stringMatching(/^(EACCES|ENOTDIR|ENOENT)$/) as string,
      syscall: 'listen',
    })
  })

  it('closes the server if the kernel refuses a setting', async () => {
    const path = socketPath()
    const before = openDescriptors()
    const server = net.createServer()
    const listening = jest.fn()
    server.on('listening', listening)
    // Descriptor 1 is not a BPF program.
    const refused = listen(server, { path, settings: { SO_ATTACH_BPF: 1 } })
    await expect(refused).rejects.toMatchObject({ code: 'EINVAL', option: 'SO_ATTACH_BPF' })
    await expectNoMoreThan(before)
    expect(server.listening).toBe(false)
    expect(existsSync(path)).toBe(false)
    expect(listening).not.toHaveBeenCalled()
  })
})
