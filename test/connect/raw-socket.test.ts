import { once } from 'node:events'
import * as http from 'node:http'
import * as net from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Worker } from 'node:worker_threads'
import {
  RawSocket,
  closeSocket,
  connect,
  getOption,
  setOption,
  tcpInfo,
  type RawConnectOptions,
  type SocketTunerWarning,
} from '../../lib'
import * as diagnostics from 'node:diagnostics_channel'
import { native } from '../../lib/kernel/binding'
import { coded } from '../helpers/coded'
import { freshPort } from '../helpers/fresh-port'
import { until } from '../helpers/until'
import { closeLater, destroyLater, failureOf, listen, loopback } from '../sockets'
import { errorOf, expectNoMoreThan, openDescriptors } from './descriptors'
import { FOREIGN } from '../helpers/foreign-address'

function opened(...args: Parameters<typeof RawSocket.open>): RawSocket {
  const raw = RawSocket.open(...args)
  closeLater(() => {
    raw.close()
  })
  return raw
}

async function serve(host: string = loopback[4]): Promise<number> {
  const server = net.createServer((socket) => {
    destroyLater(socket)
    socket.resume()
  })
  return listen(server, host)
}

describe('RawSocket.open()', () => {
  it.each([
    [4, 'IPv4'],
    ['IPv4', 'IPv4'],
    [6, 'IPv6'],
    ['IPv6', 'IPv6'],
  ] as const)('opens a socket of family %p with its settings in force', (family, name) => {
    const raw = opened(family, { TCP_MAXSEG: 900, SO_KEEPALIVE: true })
    expect(raw.fd).toBeGreaterThan(2)
    expect(raw.getOption('TCP_MAXSEG')).toBe(900)
    expect(raw.getOption('SO_KEEPALIVE')).toBe(true)
    expect(getOption(raw, 'SO_DOMAIN')).toBe(name === 'IPv4' ? 2 : 10)
    expect(raw.localAddress).toMatchObject({ family: name, port: 0 })
  })

  it('opens an MPTCP socket, or reports that the kernel has no MPTCP', () => {
    const { IPPROTO_MPTCP, AF_INET, SOCK_STREAM } = native.constants
    const probe = native.openSocket(AF_INET ?? 0, SOCK_STREAM ?? 0, IPPROTO_MPTCP ?? 0)
    if (probe >= 0) native.closeFd(probe)
    const open = (): RawSocket => opened(4, {}, { mptcp: true })
    if (probe >= 0) expect(open().getOption('SO_PROTOCOL')).toBe(IPPROTO_MPTCP)
    else expect(open).toThrow(/^socket for IPv4 MPTCP: /)
  })

  it.each<[string, unknown[], string]>([
    ['no family', [], 'ERR_INVALID_ARG_VALUE'],
    ['an unknown family', [5], 'ERR_INVALID_ARG_VALUE'],
    ['family 0', [0], 'ERR_INVALID_ARG_VALUE'],
    ['settings that are not an object', [4, 7], 'ERR_INVALID_ARG_TYPE'],
    ['an unknown option', [4, { NONE: 1 }], 'ERR_SOCKET_TUNER_UNKNOWN_OPTION'],
    ['a value of the wrong type', [4, { TCP_NODELAY: 1 }], 'ERR_INVALID_ARG_TYPE'],
    ['an option of the other family', [4, { IPV6_V6ONLY: true }], 'ERR_SOCKET_TUNER_WRONG_SOCKET'],
    ['an option that Linux lacks', [4, { IP_BOUND_IF: 1 }], 'ERR_SOCKET_TUNER_UNSUPPORTED'],
    ['a setting that the kernel refuses', [4, { TCP_CONGESTION: 'no_such_one' }], 'ENOENT'],
    ['options that are not an object', [4, {}, 'mptcp'], 'ERR_INVALID_ARG_TYPE'],
    ['mptcp that is not a boolean', [4, {}, { mptcp: 1 }], 'ERR_INVALID_ARG_TYPE'],
  ])('refuses %s, and leaves no descriptor open', (_, args, code) => {
    const before = openDescriptors()
    expect(() => (RawSocket.open as (...all: unknown[]) => RawSocket)(...args)).toThrow(coded(code))
    expect(openDescriptors()).toBe(before)
  })
})

describe('a RawSocket', () => {
  it('is accepted by every function that takes a target', () => {
    const raw = opened(4)
    setOption(raw, 'TCP_KEEPIDLE', 44)
    expect(raw.tune({ SO_RCVBUF: 16_384 }).SO_RCVBUF).toMatchObject({
      status: 'adjusted',
      value: 32_768,
    })
    expect(raw.getOption('TCP_KEEPIDLE')).toBe(44)
  })

  it('binds to an address and a port', () => {
    const raw = opened(4).bind({ address: '127.0.0.7' })
    const { address, port } = raw.localAddress
    expect(address).toBe('127.0.0.7')
    expect(port).toBeGreaterThan(0)
    expect(opened(6).bind({ address: '::1' }).localAddress).toMatchObject({ address: '::1' })
    const second = opened(4)
    expect(failureOf(() => second.bind({ address: '127.0.0.7', port }))).toMatchObject({
      code: 'EADDRINUSE',
      syscall: 'bind',
      address: '127.0.0.7',
      port,
      space: 'bind',
    })
    expect(failureOf(() => raw.bind())).toMatchObject({ code: 'EINVAL', syscall: 'bind' })
  })

  it.each<[string, unknown, string]>([
    ['an address of the other family', { address: '::1' }, 'ERR_SOCKET_TUNER_ADDRESS_FAMILY'],
    ['an address that is not on this host', { address: FOREIGN }, 'EADDRNOTAVAIL'],
    ['a host name', { address: 'localhost' }, 'ERR_INVALID_ARG_VALUE'],
    ['a number', { address: 7 }, 'ERR_INVALID_ARG_TYPE'],
    ['a port out of range', { port: 65_536 }, 'ERR_OUT_OF_RANGE'],
    ['a negative port', { port: -1 }, 'ERR_OUT_OF_RANGE'],
    ['a fractional port', { port: 0.5 }, 'ERR_OUT_OF_RANGE'],
    ['NaN', { port: NaN }, 'ERR_OUT_OF_RANGE'],
    ['a port as a string', { port: '80' }, 'ERR_INVALID_ARG_TYPE'],
    ['null', null, 'ERR_INVALID_ARG_TYPE'],
  ])('does not bind to %s', (_, options, code) => {
    const raw = opened(4)
    expect(() => raw.bind(options as { port: number })).toThrow(coded(code))
    expect(raw.localAddress.port).toBe(0)
  })

  it.each(['127.0.0.1', 'localhost'])(
    'becomes a net.Socket when it connects to %s',
    async (host) => {
      const port = await serve()
      const raw = opened(4, { TCP_MAXSEG: 900 }).bind({ address: '127.0.0.7' })
      const { fd } = raw
      const listener = jest.fn()
      const socket = raw.connect({ host, port, noDelay: true }, listener)
      destroyLater(socket)
      await once(socket, 'connect')
      expect(listener).toHaveBeenCalledTimes(1)
      expect(socket).toBeInstanceOf(net.Socket)
      expect(socket.localAddress).toBe('127.0.0.7')
      expect([888, 900]).toContain(getOption(socket, 'TCP_MAXSEG'))
      expect(getOption(fd, 'TCP_NODELAY')).toBe(true)
    },
  )

  it('throws after its descriptor was handed over, and closes nothing', async () => {
    const port = await serve()
    const raw = RawSocket.open(4)
    const socket = raw.connect({ host: loopback[4], port })
    destroyLater(socket)
    const handedOver = coded('ERR_SOCKET_TUNER_HANDED_OVER')
    expect(() => raw.fd).toThrow(handedOver)
    expect(() => raw.bind()).toThrow(handedOver)
    expect(() => raw.localAddress).toThrow(handedOver)
    expect(() => raw.getOption('TCP_NODELAY')).toThrow(handedOver)
    expect(() => raw.tune({ TCP_NODELAY: true })).toThrow(handedOver)
    expect(() => raw.connect({ host: loopback[4], port })).toThrow(handedOver)
    await expect(raw.listenOn(net.createServer())).rejects.toThrow(handedOver)
    raw.close()
    await once(socket, 'connect')
    expect(await closeSocket(socket)).toMatchObject({ mode: 'fin' })
  })

  it.each<[string, unknown, string]>([
    [
      'a destination of the other family',
      { host: '::1', port: 9 },
      'ERR_SOCKET_TUNER_ADDRESS_FAMILY',
    ],
    ['a port out of range', { host: '127.0.0.1', port: 65_536 }, 'ERR_OUT_OF_RANGE'],
    ['no port', { host: '127.0.0.1' }, 'ERR_INVALID_ARG_TYPE'],
    ['a host that is not a string', { host: 7, port: 9 }, 'ERR_INVALID_ARG_TYPE'],
    ['undefined', undefined, 'ERR_INVALID_ARG_TYPE'],
  ])('stays open if connect() refuses %s', (_, options, code) => {
    const raw = opened(4)
    expect(() => raw.connect(options as RawConnectOptions)).toThrow(coded(code))
    expect(raw.fd).toBeGreaterThan(2)
  })

  it('closes its descriptor if the connection fails', async () => {
    const port = await serve()
    const before = openDescriptors()
    const socket = RawSocket.open(4).connect({ host: '127.0.0.66', port })
    const error = await errorOf(socket)
    expect(error).toMatchObject({ code: 'ECONNREFUSED' })
    await expectNoMoreThan(before)
  })

  it('names the fixes if its port already has a connection to the destination', async () => {
    const port = await serve()
    const from = { localAddress: '127.0.0.8', localPort: await freshPort() }
    const first = connect({ host: loopback[4], port, ...from })
    destroyLater(first)
    await once(first, 'connect')
    const before = openDescriptors()
    const raw = opened(4, { SO_REUSEADDR: true })
    raw.bind({ address: from.localAddress, port: from.localPort })
    const error = await errorOf(raw.connect({ host: loopback[4], port }))
    expect(error).toMatchObject({
      ...{ code: 'EADDRNOTAVAIL', syscall: 'connect', address: loopback[4], port },
      ...{ ...from, space: 'tuple' },
    })
    expect(error.message).toMatch(/: a connection from local port \d+ to .* already exists/)
    await expectNoMoreThan(before)
  })

  it('refuses a second bind()', () => {
    const raw = opened(4).bind({ address: loopback[4] })
    expect(() => raw.bind({ address: loopback[4] })).toThrow(
      'bind EINVAL 127.0.0.1:0: the socket is already bound',
    )
  })

  it('closes its descriptor when its signal is aborted, before or while it connects', async () => {
    const port = await serve()
    const before = openDescriptors()
    for (const abort of [true, false]) {
      const controller = new AbortController()
      const { signal } = controller
      if (abort) controller.abort()
      const socket = RawSocket.open(4).connect({ host: 'localhost', port, signal })
      socket.once('lookup', () => {
        controller.abort()
      })
      const error = await errorOf(socket)
      expect(error).toMatchObject({ name: 'AbortError' })
      expect(socket.connecting).toBe(false)
    }
    await expectNoMoreThan(before)
  })

  it('becomes the listening socket of a server', async () => {
    const raw = opened(4, { SO_REUSEPORT: true }).bind({ address: loopback[4] })
    const { port } = raw.localAddress
    const server = http.createServer((_request, response) => response.end('answer'))
    closeLater(() => server.close())
    expect(await raw.listenOn(server, { backlog: 7 })).toEqual({
      address: loopback[4],
      family: 'IPv4',
      port,
    })
    expect(getOption(server, 'SO_REUSEPORT')).toBe(true)
    // On a listening socket this is the limit of the accept queue.
    expect(tcpInfo(server).sacked).toBe(7)
    expect(() => raw.fd).toThrow(coded('ERR_SOCKET_TUNER_HANDED_OVER'))
    const answer = await fetch(`http://${loopback[4]}:${String(port)}/`)
    expect(await answer.text()).toBe('answer')
    const second = opened(4, { SO_REUSEPORT: true }).bind({ address: loopback[4], port })
    const other = net.createServer()
    closeLater(() => other.close())
    expect(await second.listenOn(other)).toMatchObject({ port })
  })

  it('cannot become the socket of a server that already listens, or of a value that is not a server', async () => {
    const server = net.createServer()
    await listen(server)
    const raw = opened(4)
    await expect(raw.listenOn(server)).rejects.toThrow(coded('ERR_SERVER_ALREADY_LISTEN'))
    await expect(raw.listenOn({} as unknown as net.Server)).rejects.toThrow(
      coded('ERR_INVALID_ARG_TYPE'),
    )
    await expect(raw.listenOn(net.createServer(), { backlog: NaN })).rejects.toThrow(
      coded('ERR_OUT_OF_RANGE'),
    )
    await expect(raw.listenOn(net.createServer(), { backlog: -1 })).rejects.toThrow(
      coded('ERR_OUT_OF_RANGE'),
    )
    expect(raw.fd).toBeGreaterThan(2)
  })

  it('closes its descriptor if listening fails', async () => {
    const first = opened(4, { SO_REUSEADDR: true }).bind({ address: loopback[4] })
    const { port } = first.localAddress
    const second = opened(4, { SO_REUSEADDR: true }).bind({ address: loopback[4], port })
    const server = net.createServer()
    closeLater(() => server.close())
    await first.listenOn(server)
    const before = openDescriptors()
    await expect(second.listenOn(net.createServer())).rejects.toMatchObject({
      message: expect.stringContaining(
        `listen EADDRINUSE: address already in use 127.0.0.1:${String(port)}: another socket has this port; `,
      ) as string,
      ...{ code: 'EADDRINUSE', syscall: 'listen', address: loopback[4], port },
    })
    await expectNoMoreThan(before - 1)
  })
})

describe('the descriptor of a RawSocket', () => {
  it('is closed by close(), which acts once', () => {
    const before = openDescriptors()
    const raw = RawSocket.open(4)
    raw.close()
    raw.close()
    expect(openDescriptors()).toBe(before)
    expect(() => raw.fd).toThrow(coded('ERR_SOCKET_TUNER_DESTROYED'))
  })

  it('is closed by Symbol.dispose', () => {
    const before = openDescriptors()
    const raw = RawSocket.open(4)
    raw[Symbol.dispose]()
    expect(openDescriptors()).toBe(before)
  })

  it('is closed by garbage collection, which emits a warning', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const seen: SocketTunerWarning[] = []
    const subscriber = (message: unknown): void => {
      seen.push(message as SocketTunerWarning)
    }
    diagnostics.subscribe('socket-tuner:warning', subscriber)
    jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const before = openDescriptors()
    const drop = (): void => {
      for (let i = 0; i < 20; i++) RawSocket.open(4)
    }
    drop()
    const closed = RawSocket.open(4)
    closed.close()
    expect(openDescriptors()).toBe(before + 20)
    await until(
      'collected',
      () => {
        collect()
        return openDescriptors()
      },
      (open) => open <= before,
    )
    diagnostics.unsubscribe('socket-tuner:warning', subscriber)
    jest.restoreAllMocks()
    expect(seen).toHaveLength(20)
    expect(new Set(seen.map(({ code }) => code))).toEqual(new Set(['SOCKET_TUNER_DROPPED_SOCKET']))
  })

  it('is closed when its thread ends', async () => {
    const before = openDescriptors()
    const worker = new Worker(
      `const { RawSocket } = require(${JSON.stringify(require.resolve('../../dist'))})
       const held = Array.from({ length: 20 }, () => RawSocket.open(4))
       require('node:worker_threads').parentPort.postMessage(held.map(({ fd }) => fd))
       setInterval(() => held, 1000)`,
      { eval: true },
    )
    const [held] = (await once(worker, 'message')) as [number[]]
    expect(new Set(held).size).toBe(20)
    await worker.terminate()
    await expectNoMoreThan(before)
  })
})

describe('native.ownFd()', () => {
  const EINVAL = -22
  const EBADF = -9

  it('takes a socket once, and disownFd() releases it once', () => {
    const { AF_INET = 0, SOCK_STREAM = 0 } = native.constants
    const fd = native.openSocket(AF_INET, SOCK_STREAM, 0)
    const owner = {}
    expect(native.ownFd(fd, owner)).toBe(0)
    expect(native.ownFd(fd, owner)).toBe(EINVAL)
    expect(native.disownFd(owner)).toBe(fd)
    expect(native.disownFd(owner)).toBe(EBADF)
    native.closeFd(fd)
  })

  it.each([
    ['a descriptor that is not open', [1_000_000, {}], EBADF],
    ['a descriptor that is not a socket', [1, {}], EINVAL],
    ['no owner', [10], EINVAL],
    ['an owner that is not an object', [10, 'x'], EINVAL],
  ])('refuses %s', (_, args, errno) => {
    expect((native as unknown as { ownFd: (...all: unknown[]) => number }).ownFd(...args)).toBe(
      errno,
    )
  })

  it.each([undefined, null, 7, 'x', {}, [], new Proxy({}, {}), () => undefined])(
    'has a counterpart, disownFd(), that refuses %p',
    (owner) => {
      expect(native.disownFd(owner as object)).toBe(EINVAL)
    },
  )
})
