import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, readlinkSync } from 'node:fs'
import * as net from 'node:net'
import { constants } from 'node:os'
import { native } from '../../lib/kernel/binding'
import { socketPath } from '../options/targets'
import {
  closedDescriptor,
  closeLater,
  connectedPair,
  constant,
  destroyLater,
  handOver,
  listeningSocket,
  loopback,
  succeed,
  tcpSocket,
  udpSocket,
  unixSocket,
  until,
} from '../sockets'

const { EBADF, EINVAL, ENOSPC, ENOTCONN, EADDRINUSE, EAFNOSUPPORT, ENOTSOCK, EOPNOTSUPP } =
  constants.errno

function descriptorOf(socket: net.Socket | net.Server): number {
  return (socket as unknown as { _handle: { fd: number } })._handle.fd
}

/** Returns the open flags of a descriptor of this process, which /proc shows in octal. */
function flagsOf(fd: number): number {
  const [, flags = '0'] = /^flags:\s*(\d+)$/m.exec(
    readFileSync(`/proc/self/fdinfo/${String(fd)}`, 'utf8'),
  ) as unknown as string[]
  return Number.parseInt(flags, 8)
}

const O_NONBLOCK = 0o4000
const O_CLOEXEC = 0o2000000

describe('openSocket', () => {
  it('opens a descriptor that is non-blocking and closed on exec', () => {
    const fd = tcpSocket()
    expect(fd).toBeGreaterThan(2)
    expect(flagsOf(fd) & (O_NONBLOCK | O_CLOEXEC)).toBe(O_NONBLOCK | O_CLOEXEC)
    const inherited = execFileSync('ls', ['-l', '/proc/self/fd'], { encoding: 'utf8' })
    expect(inherited).not.toContain(readlinkSync(`/proc/self/fd/${String(fd)}`))
  })

  it('returns the errno for a socket type that does not exist', () => {
    expect(native.openSocket(9999, constant('SOCK_STREAM'), 0)).toBe(-EAFNOSUPPORT)
    expect(native.openSocket(constant('AF_INET'), 99, 0)).toBe(-EINVAL)
  })
})

describe('closeFd', () => {
  it('closes the descriptor', () => {
    const fd = handOver(tcpSocket())
    expect(native.closeFd(fd)).toBe(0)
    expect(native.closeFd(fd)).toBe(-EBADF)
  })

  it.each([0, 1, 2, -1, NaN, 0.5, 2 ** 32, 2 ** 31])('refuses %d', (fd) => {
    expect(native.closeFd(fd)).toBe(-EINVAL)
    for (const standard of [0, 1, 2]) expect(flagsOf(standard)).toBeGreaterThanOrEqual(0)
  })
})

describe('duplicateFd', () => {
  it('returns another descriptor of the same socket, which is closed on exec and above 2', () => {
    const fd = tcpSocket()
    const copy = native.duplicateFd(fd)
    try {
      expect(copy).toBeGreaterThan(2)
      expect(copy).not.toBe(fd)
      expect(flagsOf(copy) & O_CLOEXEC).toBe(O_CLOEXEC)
      native.setInt(copy, constant('SOL_SOCKET'), constant('SO_KEEPALIVE'), 1)
      expect(native.getInt(fd, constant('SOL_SOCKET'), constant('SO_KEEPALIVE'))).toBe(1)
    } finally {
      native.closeFd(copy)
    }
    expect(native.duplicateFd(closedDescriptor())).toBe(-EBADF)
  })
})

describe('bindFd', () => {
  it.each([
    [4, '127.0.0.1'],
    [4, '127.8.8.8'],
    [6, '::1'],
    [6, '::ffff:127.0.0.1'],
    [6, '0:0:0:0:0:0:0:1'],
    [6, '::1%lo'],
  ] as const)('binds an IPv%i socket to %s', (family, address) => {
    const fd = tcpSocket(family)
    expect(native.localPort(fd)).toBe(0)
    expect(native.bindFd(fd, address, 0)).toBe(0)
    const port = native.localPort(fd)
    expect(port).toBeGreaterThan(0)
    succeed(native.listenFd(fd, 1))
    expect(native.bindFd(tcpSocket(family), address, port)).toBe(-EADDRINUSE)
  })

  it.each([
    '',
    'localhost',
    '127.0.0.1 ',
    '127.0.0.1\0',
    '127.0.0.1\0.2',
    '127.1',
    '::1%',
    '::1%nosuchinterface',
    '1.2.3.4%lo',
    'x'.repeat(126),
    'x'.repeat(127),
    'x'.repeat(128),
    '::1'.padEnd(4096, '0'),
    'ü'.repeat(100),
    '\ud800',
  ])('refuses the address %j', (address) => {
    const fd = tcpSocket(6)
    expect(native.bindFd(fd, address, 0)).toBe(-EINVAL)
    expect(native.localPort(fd)).toBe(0)
  })

  it.each([-1, 65_536, 2 ** 32, 0.5, NaN])('refuses the port %d', (port) => {
    const fd = tcpSocket()
    expect(native.bindFd(fd, loopback[4], port)).toBe(-EINVAL)
    expect(native.localPort(fd)).toBe(0)
  })
})

describe('localPort', () => {
  it('returns an errno for a socket without ports', () => {
    expect(native.localPort(unixSocket())).toBe(-EAFNOSUPPORT)
    expect(native.localPort(closedDescriptor())).toBe(-EBADF)
    // Standard input may be a socket.
    const file = openSync('/dev/null', 'r')
    expect(native.localPort(file)).toBe(-ENOTSOCK)
    closeSync(file)
  })
})

describe('localPath', () => {
  const out = Buffer.alloc(128)

  it('returns the name of a bound unix-domain socket', async () => {
    for (const path of [socketPath(), `\0socket-tuner-${String(process.pid)}`]) {
      const server = net.createServer().listen(path)
      closeLater(() => server.close())
      await once(server, 'listening')
      const fd = descriptorOf(server)
      // Node 20 pads an abstract name with NULs.
      const name = out.toString('latin1', 0, native.localPath(fd, out)).replace(/\0+$/, '')
      expect(name).toBe(path)
      expect(native.localPath(fd, out.subarray(0, path.length - 1))).toBe(-ENOSPC)
    }
  })

  it('returns an empty name for an unbound socket, and an errno for a socket of another domain', () => {
    expect(native.localPath(unixSocket(), out)).toBe(0)
    expect(native.localPath(tcpSocket(), out)).toBe(-EAFNOSUPPORT)
    expect(native.localPath(closedDescriptor(), out)).toBe(-EBADF)
  })
})

describe('listenFd', () => {
  it('listens on a port that the kernel chooses if the socket is not bound', () => {
    const fd = tcpSocket()
    // Without bind() the socket listens on all addresses. It is closed before anything can connect.
    expect(native.listenFd(udpSocket(), 1)).toBe(-EOPNOTSUPP)
    succeed(native.bindFd(fd, loopback[4], 0))
    expect(native.listenFd(fd, 7)).toBe(0)
    expect(native.getInt(fd, constant('SOL_SOCKET'), constant('SO_ACCEPTCONN'))).toBe(1)
  })
})

describe('descriptorLimit', () => {
  it('returns the soft limit of this process', () => {
    const [, soft = ''] = /^Max open files +(\w+)/m.exec(
      readFileSync('/proc/self/limits', 'utf8'),
    ) as unknown as string[]
    const limit = native.descriptorLimit()
    expect(limit > Number.MAX_SAFE_INTEGER ? 'unlimited' : String(limit)).toBe(soft)
  })
})

describe('shutdownWrite', () => {
  it('sends a FIN behind queued data', async () => {
    const { client, accepted } = await connectedPair()
    client.write('before')
    expect(native.shutdownWrite(descriptorOf(client))).toBe(0)
    const chunks: Buffer[] = []
    accepted.on('data', (chunk: Buffer) => chunks.push(chunk)).resume()
    await once(accepted, 'end')
    expect(Buffer.concat(chunks).toString()).toBe('before')
  })

  it('returns an errno for a socket that is not connected', () => {
    expect(native.shutdownWrite(tcpSocket())).toBe(-ENOTCONN)
  })
})

describe('discardInput', () => {
  it('discards received data, and counts it', async () => {
    const { client, accepted } = await connectedPair()
    const fd = descriptorOf(accepted)
    expect(native.discardInput(fd)).toBe(0)
    client.write(Buffer.alloc(100_000))
    await until(() => native.unreadBytes(fd) === 100_000)
    expect(native.discardInput(fd)).toBe(100_000)
    expect(native.unreadBytes(fd)).toBe(0)
    expect(native.discardInput(fd)).toBe(0)
    client.write('after')
    accepted.resume()
    expect(String((await once(accepted, 'data'))[0])).toBe('after')
  })

  it('stops at the end of the stream', async () => {
    const { client, accepted } = await connectedPair()
    const fd = descriptorOf(accepted)
    client.end('last')
    await until(() => native.unreadBytes(fd) === 4)
    expect(native.discardInput(fd)).toBe(4)
    expect(native.discardInput(fd)).toBe(0)
  })

  it('returns an errno if there is no input', () => {
    expect(native.discardInput(tcpSocket())).toBe(-ENOTCONN)
    expect(native.discardInput(listeningSocket())).toBe(-ENOTCONN)
    expect(native.discardInput(closedDescriptor())).toBe(-EBADF)
  })
})

describe('a descriptor that was opened natively', () => {
  it('can become a net.Socket, and keeps its options', async () => {
    const server = net.createServer((socket) => socket.end('hello'))
    const listener = handOver(listeningSocket())
    const port = native.localPort(listener)
    server.listen({ fd: listener })
    const fd = tcpSocket()
    native.setInt(fd, constant('IPPROTO_TCP'), constant('TCP_KEEPIDLE'), 44)
    const socket = new net.Socket({ fd: handOver(fd) })
    destroyLater(socket)
    socket.connect(port, loopback[4])
    expect(String((await once(socket, 'data'))[0])).toBe('hello')
    expect(
      native.getInt(descriptorOf(socket), constant('IPPROTO_TCP'), constant('TCP_KEEPIDLE')),
    ).toBe(44)
    server.close()
  })
})
