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

/** A connection to a server, and its end there. */
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
  ])('makes a %s server listen and sets the settings on each connection', async (_, make) => {
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

  // Abstract names are Linux's own: unix(7).
  const onLinux = process.platform === 'linux' ? it : it.skip
  onLinux('takes an abstract name', async () => {
    const path = `\0socket-tuner-listen-${String(process.pid)}`
    const server = serverOf(net.createServer())
    expect(await listen(server, { path, settings: { SO_SNDBUF: 50_000 } })).toBe(path)
    expect(getOption(await connection(server, path), 'SO_SNDBUF')).toBe(100_000)
  })

  it('gives the backlog to listen(2)', async () => {
    const path = socketPath()
    await listen(serverOf(net.createServer(destroyLater)), { path, backlog: 3 })
    // connect(2) is called at once, and nothing is accepted in this turn of the event loop.
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
    // One more may wait than the backlog says.
    expect(outcomes.filter((outcome) => outcome === 'connected')).toHaveLength(4)
    expect(outcomes.filter((outcome) => outcome === 'EAGAIN')).toHaveLength(6)
  })

  it('puts the connections under a close mode', async () => {
    const path = socketPath()
    const server = serverOf(net.createServer())
    await listen(server, { path, close: 'reset' })
    expect(policyOf(await connection(server, path))?.mode.name).toBe('reset')
  })

  it('does not warn of SO_LINGER, which is not inherited there', async () => {
    configure({ hazards: 'throw' })
    const path = socketPath()
    const server = serverOf(net.createServer())
    await listen(server, { path, settings: { SO_LINGER: { enabled: true, seconds: 0 } } })
    const accepted = await connection(server, path)
    expect(getOption(accepted, 'SO_LINGER')).toEqual({ enabled: true, seconds: 0 })
  })
})

describe('listen() on a path that is refused', () => {
  it.each<[keyof Settings, Settings]>([
    ['TCP_NODELAY', { TCP_NODELAY: true }],
    ['IP_TOS', { SO_SNDBUF: 50_000, IP_TOS: 8 }],
    // The kernel accepts these, and nothing comes of it.
    ['SO_KEEPALIVE', { SO_KEEPALIVE: true }],
    ['SO_MARK', { SO_MARK: 1 }],
  ])('refuses %s, which does nothing there', async (option, settings) => {
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
    ['an empty one', { path: '' }, 'ERR_INVALID_ARG_VALUE'],
    ['a NUL within', { path: '/tmp/a\0b' }, 'ERR_INVALID_ARG_VALUE'],
    // 120 bytes.
    ['a longer one than an address holds', { path: `/${'é'.repeat(60)}` }, 'ERR_INVALID_ARG_VALUE'],
    ['what is no string', { path: 7 }, 'ERR_INVALID_ARG_TYPE'],
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

  it('takes false and undefined for what is not given', async () => {
    const path = socketPath()
    const options = { path, host: undefined, ipv6Only: false, mptcp: false }
    expect(await listen(serverOf(net.createServer()), options)).toBe(path)
  })

  it('says that a file is in the way, and leaves nothing', async () => {
    const path = socketPath()
    writeFileSync(path, '')
    const before = openDescriptors()
    const server = net.createServer()
    await expect(listen(server, { path, close: 'reset' })).rejects.toMatchObject({
      code: 'EADDRINUSE',
      syscall: 'listen',
      address: path,
      message: expect.stringMatching(
        /^listen EADDRINUSE: address already in use .*: a server listens there, or .*Remove the file/,
      ) as string,
    })
    await expectNoMoreThan(before)
    expect(server.listenerCount('error') + server.listenerCount('listening')).toBe(0)
    expect(server.listenerCount('connection')).toBe(0)
    // It can be tried again.
    const other = socketPath()
    expect(await listen(serverOf(server), { path: other })).toBe(other)
  })

  it('says that a directory is not there', async () => {
    await expect(listen(net.createServer(), { path: `${socketPath()}/no` })).rejects.toMatchObject({
      code: expect.stringMatching(/^(EACCES|ENOTDIR|ENOENT)$/) as string,
      syscall: 'listen',
    })
  })

  it('closes the server when the kernel refuses a setting', async () => {
    const path = socketPath()
    const before = openDescriptors()
    const server = net.createServer()
    const listening = jest.fn()
    server.on('listening', listening)
    // No descriptor of a program.
    const refused = listen(server, { path, settings: { SO_ATTACH_BPF: 1 } })
    await expect(refused).rejects.toMatchObject({ code: 'EINVAL', option: 'SO_ATTACH_BPF' })
    await expectNoMoreThan(before)
    expect(server.listening).toBe(false)
    expect(existsSync(path)).toBe(false)
    expect(listening).not.toHaveBeenCalled()
  })
})
