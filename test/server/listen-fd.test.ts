import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fstatSync, openSync } from 'node:fs'
import * as http from 'node:http'
import * as net from 'node:net'
import * as path from 'node:path'
import { text } from 'node:stream/consumers'
import { getOption, listen, tcpInfo, type ListenOptions } from '../../lib'
import { native } from '../../lib/kernel/binding'
import { coded } from '../helpers/coded'
import { socketPath } from '../options/targets'
import {
  boundSocket,
  closeLater,
  closedDescriptor,
  connectedPair,
  destroyLater,
  handOver,
  listeningSocket,
  loopback,
  tcpSocket,
  udpSocket,
  unixSocket,
} from '../sockets'

const host = loopback[4]
const PROGRAM = path.join(__dirname, 'inherited-program.js')

function serverOf<T extends net.Server>(server: T): T {
  closeLater(() => server.close())
  return server
}

function descriptorOf(server: net.Server | net.Socket): number {
  return (server as unknown as { _handle: { fd: number } })._handle.fd
}

async function connected(to: net.NetConnectOpts): Promise<net.Socket> {
  const socket = net.connect(to)
  destroyLater(socket)
  await once(socket, 'connect')
  return socket
}

async function accepted(server: net.Server, to: net.NetConnectOpts): Promise<net.Socket> {
  const [[socket]] = (await Promise.all([once(server, 'connection'), connected(to)])) as [
    [net.Socket],
    unknown,
  ]
  destroyLater(socket)
  return socket
}

let names = 0

/** Makes a listening unix-domain socket that no handle owns, and returns its descriptor and abstract name. */
async function listeningUnix(): Promise<{ fd: number; name: string }> {
  const name = `\0socket-tuner-fd-${String(process.pid)}-${String(names++)}`
  const server = net.createServer().listen(name)
  await once(server, 'listening')
  const fd = native.duplicateFd(descriptorOf(server))
  await new Promise((resolve) => server.close(resolve))
  return { fd, name }
}

describe('listen() on a descriptor', () => {
  it.each<[string, () => net.Server]>([
    ['net', () => net.createServer()],
    ['http', () => http.createServer()],
  ])('makes a %s server listen on a bound socket with its settings in force', async (_, make) => {
    const server = serverOf(make())
    const fd = boundSocket()
    const port = native.localPort(fd)
    const settings = { TCP_NODELAY: true, SO_RCVBUF: 16_384 }
    const address = await listen(server, { fd, backlog: 7, settings })
    handOver(fd)
    expect(address).toEqual({ address: host, family: 'IPv4', port })
    expect(server.address()).toEqual(address)
    expect(descriptorOf(server)).toBe(fd)
    expect(tcpInfo(server).sacked).toBe(7)
    expect(getOption(server, 'SO_RCVBUF')).toBe(32_768)
    expect(getOption(await accepted(server, { port, host }), 'TCP_NODELAY')).toBe(true)
  })

  it('applies the settings to connections that already wait', async () => {
    const fd = listeningSocket()
    const port = native.localPort(fd)
    await connected({ port, host })
    const server = serverOf(net.createServer())
    const connection = once(server, 'connection') as Promise<[net.Socket]>
    await listen(server, { fd, settings: { TCP_KEEPIDLE: 44 } })
    handOver(fd)
    const [first] = await connection
    destroyLater(first)
    expect(getOption(first, 'TCP_KEEPIDLE')).toBe(44)
    expect(getOption(await accepted(server, { port, host }), 'TCP_KEEPIDLE')).toBe(44)
  })

  it('chooses a port for an unbound socket', async () => {
    const fd = tcpSocket()
    const server = serverOf(net.createServer())
    const address = (await listen(server, { fd })) as net.AddressInfo
    handOver(fd)
    expect(address.port).toBeGreaterThan(0)
    await accepted(server, { port: address.port, host })
  })

  it('accepts a unix-domain socket, and applies the settings to each connection', async () => {
    const { fd, name } = await listeningUnix()
    const server = serverOf(net.createServer())
    const address = await listen(server, { fd, settings: { SO_SNDBUF: 50_000 } })
    // Node 20 pads an abstract name with NULs.
    expect((address as string).replace(/\0+$/, '')).toBe(name)
    for (let times = 0; times < 2; times++) {
      const socket = await accepted(server, { path: name })
      expect(getOption(socket, 'SO_SNDBUF')).toBe(100_000)
    }
  })

  it('closes the descriptor with the server', async () => {
    const fd = boundSocket()
    const server = net.createServer()
    await listen(server, { fd })
    handOver(fd)
    server.close()
    await once(server, 'close')
    expect(() => fstatSync(fd)).toThrow(coded('EBADF'))
  })

  it('accepts an inherited socket, as from systemd', async () => {
    const fd = listeningSocket()
    const port = native.localPort(fd)
    const child = spawn(process.execPath, [PROGRAM], { stdio: ['ignore', 'pipe', 'inherit', fd] })
    closeLater(() => child.kill())
    if (child.stdout === null) throw new Error('its output is a pipe')
    const said = text(child.stdout)
    const socket = await connected({ port, host })
    expect(await text(socket)).toBe('served by a child')
    expect(JSON.parse(await said)).toEqual({ address: host, family: 'IPv4', port })
  })
})

describe('listen() on an unsuitable descriptor', () => {
  /** Expects a refusal with this code, after which the descriptor is still open. */
  async function refuses(fd: number, code: string, options: ListenOptions = {}): Promise<Error> {
    const server = net.createServer()
    const error: unknown = await listen(server, { fd, ...options }).catch((e: unknown) => e)
    expect(error).toMatchObject({ code })
    expect(server.listening).toBe(false)
    expect(server.listenerCount('connection')).toBe(0)
    if (code !== 'EBADF') fstatSync(fd)
    return error as Error
  }

  it('names the kind of a socket that is not a stream socket', async () => {
    const { message } = await refuses(udpSocket(), 'ERR_SOCKET_TUNER_WRONG_SOCKET')
    expect(message).toMatch(/is an IPv4 UDP socket \(SO_TYPE 2\)$/)
  })

  it('refuses a connected socket', async () => {
    const { client } = await connectedPair()
    const copy = native.duplicateFd(descriptorOf(client))
    closeLater(() => native.closeFd(copy))
    await refuses(copy, 'ERR_SOCKET_TUNER_WRONG_SOCKET')
    expect(getOption(client, 'TCP_KEEPIDLE')).not.toBe(44)
  })

  it('refuses a unix-domain socket without a name', async () => {
    const { message } = await refuses(unixSocket(), 'EINVAL')
    expect(message).toContain('it is not bound')
  })

  it('refuses a descriptor that is not a socket or not open', async () => {
    const file = openSync('/dev/null', 'r')
    closeLater(() => native.closeFd(file))
    await refuses(file, 'ENOTSOCK')
    await refuses(closedDescriptor(), 'EBADF')
  })

  it('refuses the descriptor of another server, which continues to listen', async () => {
    for (const to of [{ port: 0, host }, { path: socketPath() }]) {
      const server = serverOf(net.createServer())
      server.listen(to)
      await once(server, 'listening')
      const { message } = await refuses(descriptorOf(server), 'EEXIST')
      expect(message).toContain('another net.Server or net.Socket of this process has it')
      const place = server.address()
      const reach = typeof place === 'string' ? { path: place } : { ...to, port: place?.port ?? 0 }
      await accepted(server, reach)
    }
  })

  it('refuses settings for another kind of socket', async () => {
    await refuses(boundSocket(), 'ERR_SOCKET_TUNER_WRONG_SOCKET', {
      settings: { IPV6_V6ONLY: true },
    })
    const { fd } = await listeningUnix()
    closeLater(() => native.closeFd(fd))
    await refuses(fd, 'ERR_SOCKET_TUNER_WRONG_SOCKET', { settings: { SO_KEEPALIVE: true } })
  })

  it.each<[string, unknown, string]>([
    ['a negative number', { fd: -1 }, 'ERR_OUT_OF_RANGE'],
    ['2^31', { fd: 2 ** 31 }, 'ERR_OUT_OF_RANGE'],
    ['2^32 + 3', { fd: 2 ** 32 + 3 }, 'ERR_OUT_OF_RANGE'],
    ['a fraction', { fd: 3.5 }, 'ERR_OUT_OF_RANGE'],
    ['a string', { fd: '3' }, 'ERR_INVALID_ARG_TYPE'],
    ['a port beside it', { fd: 3, port: 0 }, 'ERR_INVALID_ARG_VALUE'],
    ['a host beside it', { fd: 3, host }, 'ERR_INVALID_ARG_VALUE'],
    ['mptcp beside it', { fd: 3, mptcp: true }, 'ERR_INVALID_ARG_VALUE'],
  ])('refuses %s', async (_, options, code) => {
    const server = net.createServer()
    await expect(listen(server, options as ListenOptions)).rejects.toThrow(coded(code))
    expect(server.listening).toBe(false)
  })
})
