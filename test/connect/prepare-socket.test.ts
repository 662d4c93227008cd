import { once } from 'node:events'
import * as net from 'node:net'
import * as tls from 'node:tls'
import {
  Connector,
  SocketTunerError,
  SourcePool,
  closeSocket,
  getCloseMode,
  getOption,
  prepareSocket,
  setCloseMode,
  type PrepareSocketOptions,
} from '../../lib'
import { handleOf } from '../../lib/node/handle'
import { makeCertificate } from '../helpers/certificate'
import { coded } from '../helpers/coded'
import { freshPort } from '../helpers/fresh-port'
import { until } from '../helpers/until'
import { socketPath } from '../options/targets'
import { destroyLater, fullListener, listen, loopback } from '../sockets'
import { expectNoMoreThan, finalErrorOf, openDescriptors } from './descriptors'
import { lookupOf, serveEchoAt } from './peers'

const host = loopback[4]
const settings = { TCP_KEEPIDLE: 44, SO_RCVBUF: 50_000 }

/** Starts an echo server. */
async function serve(address: string = host): Promise<number> {
  const server = net.createServer((socket) => {
    destroyLater(socket)
    socket.pipe(socket)
  })
  return listen(server, address)
}

/** A socket that is destroyed after the test. */
function prepare(options: PrepareSocketOptions = { settings }): net.Socket {
  const socket = prepareSocket(options)
  destroyLater(socket)
  return socket
}

function expectTuned(socket: net.Socket): void {
  expect(getOption(socket, 'TCP_KEEPIDLE')).toBe(44)
  expect(getOption(socket, 'SO_RCVBUF')).toBe(100_000)
}

describe('prepareSocket()', () => {
  it('opens nothing before its connect() is called', () => {
    const before = openDescriptors()
    const socket = prepare({ settings, source: '127.0.0.7', close: 'deliver' })
    expect(socket).toBeInstanceOf(net.Socket)
    expect(socket).toMatchObject({ connecting: false, pending: true, destroyed: false })
    expect(getCloseMode(socket)).toMatchObject({ mode: 'deliver' })
    expect(openDescriptors()).toBe(before)
  })

  it.each<[string, (socket: net.Socket, port: number, done: () => void) => net.Socket]>([
    ['a port and a host', (socket, port, done) => socket.connect(port, host, done)],
    ['a port', (socket, port, done) => socket.connect(port, done)],
    ['an object with an address', (socket, port, done) => socket.connect({ host, port }, done)],
    [
      'an object with a host name',
      (socket, port, done) => socket.connect({ host: 'localhost', port }, done),
    ],
  ])('has its settings in force after connect() with %s', async (_, connect) => {
    const port = await serve()
    const socket = prepare()
    const connected = jest.fn()
    expect(connect(socket, port, connected)).toBe(socket)
    expect(socket.connecting).toBe(true)
    await once(socket, 'connect')
    expectTuned(socket)
    expect(connected).toHaveBeenCalledTimes(1)
    socket.setEncoding('utf8').write('there and back')
    expect(await once(socket, 'data')).toEqual(['there and back'])
  })

  it('emits the same events in the same order as a net.Socket, and sends data written before', async () => {
    const port = await serve()
    const seen: string[] = []
    const socket = prepare()
    for (const event of ['lookup', 'connectionAttempt', 'connect', 'ready', 'close']) {
      socket.on(event, () => seen.push(event))
    }
    socket.setEncoding('utf8').connect({ host: 'one.test', port, lookup: lookupOf(host) })
    socket.write('early')
    expect(await once(socket, 'data')).toEqual(['early'])
    socket.destroy()
    await once(socket, 'close')
    expect(seen).toEqual(['lookup', 'connectionAttempt', 'connect', 'ready', 'close'])
  })

  it('tries the next address of a host with all settings', async () => {
    const port = await serve()
    const socket = prepare()
    socket.connect({ host: 'two.test', port, lookup: lookupOf('127.0.0.66', host) })
    await once(socket, 'connect')
    expectTuned(socket)
    expect(socket.remoteAddress).toBe(host)
  })

  it('reports every reason if every address of a host fails', async () => {
    const port = await serve()
    const before = openDescriptors()
    const socket = prepare()
    socket.connect({ host: 'dead.test', port, lookup: lookupOf('127.0.0.66', '127.0.0.67') })
    const error = await finalErrorOf(socket)
    expect(error).toBeInstanceOf(AggregateError)
    expect(error).toMatchObject({ code: 'ECONNREFUSED' })
    await expectNoMoreThan(before)
  })

  it('connects from its source, using all ports or those of its range', async () => {
    const port = await serve()
    const free = await freshPort()
    const socket = prepare({ source: '127.0.0.7', portRange: { min: free, max: free } })
    socket.connect(port, host)
    await once(socket, 'connect')
    expect(socket).toMatchObject({ localAddress: '127.0.0.7', localPort: free })
    expect(getOption(socket, 'IP_BIND_ADDRESS_NO_PORT')).toBe(true)
  })

  it('names the fixes if no port is free, as connect() does', async () => {
    const port = await serve()
    const free = await freshPort()
    const tuning = { source: '127.0.0.7', portRange: { min: free, max: free } }
    const first = prepare(tuning)
    first.connect(port, host)
    await once(first, 'connect')
    const second = prepare(tuning)
    second.connect(port, host)
    const error = await finalErrorOf(second)
    expect(error).toBeInstanceOf(SocketTunerError)
    expect(error).toMatchObject({ code: 'EADDRNOTAVAIL', syscall: 'connect', space: 'tuple' })
    expect(error.message).toMatch(/Remedies: .*close: 'deliver'/)
  })

  it('closes in its close mode', async () => {
    const connector = new Connector({ settings, close: 'deliver' })
    const port = await serve()
    const socket = connector.prepareSocket({ allowHalfOpen: true })
    destroyLater(socket)
    socket.connect(port, host).write('asked')
    await once(socket, 'data')
    expectTuned(socket)
    expect(socket.allowHalfOpen).toBe(true)
    socket.destroy()
    await once(socket, 'close')
    const counted = await until(
      'it is counted',
      () => connector.counters(),
      ({ closes }) => closes.deliver === 1,
    )
    expect(counted).toMatchObject({ fallbacks: {}, timeWaitLeft: 0, discardedBytes: 0 })
  })

  it('accepts the options of new net.Socket()', async () => {
    const port = await serve()
    // Node's typings lack the first two.
    const options = { noDelay: true, keepAlive: true, allowHalfOpen: true, settings }
    const socket = prepare(options)
    socket.connect(port, host)
    await once(socket, 'connect')
    expectTuned(socket)
    expect(getOption(socket, 'TCP_NODELAY')).toBe(true)
    expect(getOption(socket, 'SO_KEEPALIVE')).toBe(true)
    expect(socket.allowHalfOpen).toBe(true)
  })

  it('accepts TLS after connecting, as drivers add it', async () => {
    const certificate = makeCertificate()
    const server = tls.createServer(certificate, (socket) => {
      destroyLater(socket)
      socket.end('secret')
    })
    const port = await listen(server)
    const carrier = prepare()
    carrier.connect(port, host)
    await once(carrier, 'connect')
    const socket = tls.connect({ socket: carrier, ca: certificate.cert, servername: 'localhost' })
    destroyLater(socket)
    expect(String((await once(socket, 'data'))[0])).toBe('secret')
    expectTuned(socket)
  })
})

describe('prepareSocket() and a path', () => {
  const fitting = { SO_SNDBUF: 50_000, SO_LINGER: { enabled: true, seconds: 0 } }

  it.each<[string, (socket: net.Socket, path: string) => net.Socket]>([
    ['as the only argument', (socket, path) => socket.connect(path)],
    ['in an object', (socket, path) => socket.connect({ path })],
  ])('has SOL_SOCKET settings in force if the path is passed %s', async (_, connect) => {
    const path = await serveEchoAt(socketPath())
    const socket = prepare({ settings: fitting, close: 'deliver' })
    connect(socket, path)
    // Node calls connect(2) in the same tick.
    expect(getOption(socket, 'SO_SNDBUF')).toBe(100_000)
    await once(socket, 'connect')
    expect(getOption(socket, 'SO_LINGER')).toEqual({ enabled: true, seconds: 0 })
    socket.setEncoding('utf8').write('there and back')
    expect(await once(socket, 'data')).toEqual(['there and back'])
  })

  it('connects without settings, and again after its close', async () => {
    const path = await serveEchoAt(socketPath())
    for (const options of [{}, { settings: fitting }]) {
      const socket = prepare(options)
      for (let i = 0; i < 2; i++) {
        socket.connect(path)
        await once(socket, 'connect')
        expect(getOption(socket, 'SO_SNDBUF') === 100_000).toBe('settings' in options)
        socket.destroy()
        await once(socket, 'close')
      }
    }
  })

  it('emits an error for an option without effect on unix-domain sockets, and opens nothing', async () => {
    const path = await serveEchoAt(socketPath())
    const before = openDescriptors()
    const socket = prepare()
    socket.connect(path)
    expect(await finalErrorOf(socket)).toMatchObject({
      code: 'ERR_SOCKET_TUNER_WRONG_SOCKET',
      option: 'TCP_KEEPIDLE',
    })
    await expectNoMoreThan(before)
  })

  it('throws for a source and for a port range', () => {
    for (const options of [{ source: host }, { portRange: 'kernel' as const }]) {
      expect(() => prepare(options).connect('/nowhere')).toThrow(coded('ERR_INVALID_ARG_VALUE'))
    }
  })

  it("emits errors for settings that the kernel refuses, and Node's own errors", async () => {
    const before = openDescriptors()
    // Descriptor 1 is not a BPF program.
    const refused = prepare({ settings: { SO_ATTACH_BPF: 1 } })
    refused.connect(socketPath())
    expect(await finalErrorOf(refused)).toMatchObject({ code: 'EINVAL', option: 'SO_ATTACH_BPF' })
    const path = socketPath()
    const nobody = prepare({ settings: fitting })
    nobody.connect(path)
    expect(await finalErrorOf(nobody)).toMatchObject({ code: 'ENOENT', address: path })
    await expectNoMoreThan(before)
  })

  it('opens nothing if a listener destroys the socket before', async () => {
    const path = await serveEchoAt(socketPath())
    const before = openDescriptors()
    for (const prepend of [false, true]) {
      const socket = prepare({ settings: fitting })
      const destroy = (): unknown => socket.destroy()
      if (prepend) socket.prependListener('connectionAttempt', destroy)
      else socket.on('connectionAttempt', destroy)
      socket.connect(path)
      await once(socket, 'close')
    }
    await expectNoMoreThan(before)
  })
})

describe('prepareSocket() and connect() at unusual moments', () => {
  it('connects again with the same settings after it is closed', async () => {
    const port = await serve()
    const source = new SourcePool(['127.0.0.2', '127.0.0.3'])
    const before = openDescriptors()
    const socket = prepare({ settings, source, close: 'deliver' })
    for (const to of [host, 'localhost', host]) {
      socket.connect(port, to)
      await once(socket, 'connect')
      expectTuned(socket)
      expect(source.addresses).toContain(socket.localAddress)
      expect(getCloseMode(socket)).toMatchObject({ mode: 'deliver' })
      expect(source.usage(host, port).reduce((sum, { open }) => sum + open, 0)).toBe(1)
      expect(await closeSocket(socket)).toMatchObject({ mode: 'deliver', timeWait: 'avoided' })
    }
    expect(source.usage(host, port)).toMatchObject([{ open: 0 }, { open: 0 }])
    await expectNoMoreThan(before)
  })

  it('keeps a close mode that the program changed or removed in the meantime', async () => {
    const port = await serve()
    for (const mode of ['reset', null] as const) {
      const socket = prepare({ close: 'deliver' })
      setCloseMode(socket, mode)
      for (let i = 0; i < 2; i++) {
        socket.connect(port, host)
        await once(socket, 'connect')
        if (mode === null) expect(getCloseMode(socket)).toBeNull()
        else expect(getCloseMode(socket)).toMatchObject({ mode })
        socket.destroy()
        await once(socket, 'close')
      }
    }
  })

  it('connects with its settings even after it was destroyed, as a net.Socket does', async () => {
    const port = await serve()
    const socket = prepare()
    socket.destroy()
    await once(socket, 'close')
    socket.connect(port, host)
    await once(socket, 'connect')
    expectTuned(socket)
  })

  it('connects to the second host if it is destroyed and connected again in one tick', async () => {
    const port = await serve('0.0.0.0')
    const before = openDescriptors()
    const source = new SourcePool(['127.0.0.2'])
    const socket = prepare({ settings, source })
    socket.connect({ host: 'first.test', port, lookup: lookupOf('127.0.0.4', '127.0.0.5') })
    socket.destroy()
    socket.connect({ host: 'second.test', port, lookup: lookupOf('127.0.0.6', '127.0.0.7') })
    await once(socket, 'connect')
    expect(socket.remoteAddress).toBe('127.0.0.6')
    expectTuned(socket)
    socket.destroy()
    await once(socket, 'close')
    for (const address of ['127.0.0.4', '127.0.0.5', '127.0.0.6', '127.0.0.7'])
      expect(source.usage(address, port)).toMatchObject([{ open: 0 }])
    await expectNoMoreThan(before)
  })

  it.each([[[host]], [['127.0.0.66', host]]])(
    'leaves nothing open if it is destroyed while it connects to %j',
    async (addresses) => {
      const port = await serve()
      const before = openDescriptors()
      for (const event of ['', 'lookup', 'connectionAttempt', 'connectionAttemptFailed']) {
        const socket = prepare({ settings, close: 'deliver' })
        socket.connect({ host: 'x.test', port, lookup: lookupOf(...addresses) })
        if (event === '') socket.destroy()
        else for (const each of [event, 'connect']) socket.once(each, () => socket.destroy())
        await once(socket, 'close')
      }
      await expectNoMoreThan(before)
    },
  )

  it.each([
    ['EALREADY', 'is under way'],
    ['EISCONN', 'has succeeded'],
  ])('fails with %s if connect() is called again while the first one %s', async (code) => {
    const port = await serve()
    const before = openDescriptors()
    for (const to of [host, 'localhost']) {
      const socket = prepare({ settings, close: 'deliver' })
      const connected = jest.fn()
      socket.once('connect', connected)
      socket.connect(port, to)
      if (code === 'EISCONN') await once(socket, 'connect')
      socket.connect(port, '127.0.0.2')
      const error = await finalErrorOf(socket)
      expect(error).toMatchObject({ code, syscall: 'connect', address: '127.0.0.2', port })
      expect(connected).toHaveBeenCalledTimes(code === 'EISCONN' ? 1 : 0)
    }
    await expectNoMoreThan(before)
  })

  it("throws Node's own error for invalid arguments, and connects afterwards with valid ones", async () => {
    const port = await serve()
    const before = openDescriptors()
    const socket = prepare()
    const wrong: [unknown[], string][] = [
      [[], 'ERR_MISSING_ARGS'],
      [[{}], 'ERR_MISSING_ARGS'],
      [[65_536, host], 'ERR_SOCKET_BAD_PORT'],
      [[{ host, port, localPort: -1 }], 'ERR_OUT_OF_RANGE'],
      [[{ host, port, family: 5 }], 'ERR_INVALID_ARG_VALUE'],
      [[{ host, port, signal: {} }], 'ERR_INVALID_ARG_TYPE'],
    ]
    for (const [args, code] of wrong) {
      expect(() => socket.connect(...(args as [number]))).toThrow(coded(code))
      expect(openDescriptors()).toBe(before)
    }
    socket.connect(port, host)
    await once(socket, 'connect')
    expectTuned(socket)
  })

  it('emits an error if the source is of another family than the destination', async () => {
    const before = openDescriptors()
    const socket = prepare({ source: host, close: 'deliver' })
    socket.connect(9, '::1')
    expect(await finalErrorOf(socket)).toMatchObject({ code: 'ERR_SOCKET_TUNER_ADDRESS_FAMILY' })
    // A closed socket emits no 'error'.
    expect(() => socket.connect(9, '::1')).toThrow(coded('ERR_SOCKET_TUNER_ADDRESS_FAMILY'))
    await expectNoMoreThan(before)
  })

  it("emits Node's own error if the destination refuses, and an error for a setting that the kernel refuses", async () => {
    const port = await serve()
    const before = openDescriptors()
    const refused = prepare()
    refused.connect(port, '127.0.0.66')
    const error = await finalErrorOf(refused)
    expect(error).not.toBeInstanceOf(SocketTunerError)
    expect(error).toMatchObject({ code: 'ECONNREFUSED', address: '127.0.0.66', port })
    const unknown = prepare({ settings: { TCP_CONGESTION: 'no_such_one' } })
    unknown.connect(port, host)
    expect(await finalErrorOf(unknown)).toMatchObject({ code: 'ENOENT', option: 'TCP_CONGESTION' })
    await expectNoMoreThan(before)
  })

  it('can be closed by closeSocket() before and while it connects', async () => {
    const port = fullListener(host)
    const before = openDescriptors()
    for (const isConnecting of [false, true]) {
      const socket = prepare({ settings, close: 'deliver' })
      if (isConnecting) socket.connect(port, host)
      expect(await closeSocket(socket)).toMatchObject({ timeWait: 'avoided' })
    }
    await expectNoMoreThan(before)
  })
})

describe('prepareSocket() and an AbortSignal', () => {
  it('is destroyed when its own signal is aborted, before or after connect()', async () => {
    const port = fullListener(host)
    const before = openDescriptors()
    for (const isConnecting of [false, true]) {
      const controller = new AbortController()
      const socket = prepare({ settings, signal: controller.signal, close: 'deliver' })
      if (isConnecting) socket.connect(port, host)
      controller.abort()
      expect(await finalErrorOf(socket)).toMatchObject({ code: 'ABORT_ERR' })
    }
    await expectNoMoreThan(before)
  })

  it('never connects after its signal is aborted', async () => {
    const port = await serve()
    const before = openDescriptors()
    const connected = jest.fn()
    const socket = prepare({ settings, signal: AbortSignal.abort() }).once('connect', connected)
    expect(await finalErrorOf(socket)).toMatchObject({ code: 'ABORT_ERR' })
    socket.connect(port, host)
    expect(await finalErrorOf(socket)).toMatchObject({ code: 'ABORT_ERR' })
    await expectNoMoreThan(before)
    expect(connected).not.toHaveBeenCalled()
  })

  it('is destroyed when a signal passed to connect() is aborted', async () => {
    const port = fullListener(host)
    const before = openDescriptors()
    const controller = new AbortController()
    const { signal } = controller
    const socket = prepare()
    socket.connect({ host, port, signal } as net.TcpNetConnectOpts)
    controller.abort()
    expect(await finalErrorOf(socket)).toMatchObject({ code: 'ABORT_ERR' })
    await expectNoMoreThan(before)
  })
})

describe('prepareSocket() with invalid arguments', () => {
  it.each<[string, unknown, string]>([
    ['null', null, 'ERR_INVALID_ARG_TYPE'],
    ['an unknown setting', { settings: { NO_SUCH: 1 } }, 'ERR_SOCKET_TUNER_UNKNOWN_OPTION'],
    ['a misspelling', { setings: {} }, 'ERR_SOCKET_TUNER_UNKNOWN_OPTION'],
    ['a host', { host }, 'ERR_INVALID_ARG_VALUE'],
    ['a port', { port: 80 }, 'ERR_INVALID_ARG_VALUE'],
    ['a timeout', { timeout: 10 }, 'ERR_INVALID_ARG_VALUE'],
    ['a descriptor', { fd: 0 }, 'ERR_INVALID_ARG_VALUE'],
    ['a handle', { handle: {} }, 'ERR_INVALID_ARG_VALUE'],
    ['a source that is not an address', { source: 'eth0' }, 'ERR_INVALID_ARG_VALUE'],
    ['an unknown close mode', { close: 'gently' }, 'ERR_INVALID_ARG_VALUE'],
    ['an invalid signal', { signal: {} }, 'ERR_INVALID_ARG_TYPE'],
    ['an invalid block list', { blockList: [] }, 'ERR_INVALID_ARG_TYPE'],
    [
      'an option that Linux lacks',
      { settings: { IP_BOUND_IF: 1 } },
      'ERR_SOCKET_TUNER_UNSUPPORTED',
    ],
  ])('throws for %s', (_, options, code) => {
    expect(() => prepareSocket(options as PrepareSocketOptions)).toThrow(coded(code))
  })

  it('does not connect to an address on a block list', async () => {
    const port = await serve()
    const blockList = new net.BlockList()
    blockList.addAddress(host)
    const socket = prepare({ blockList } as PrepareSocketOptions)
    socket.connect(port, host)
    expect(await finalErrorOf(socket)).toMatchObject({ code: 'ERR_IP_BLOCKED' })
  })
})

it('prepareSocket() restores the own methods of the handle and deletes none', async () => {
  const socket = prepare()
  socket.connect(await serve(), host)
  const handle = handleOf(socket) ?? {}
  await once(socket, 'connect')
  const own: unknown = Reflect.get(Object.getPrototypeOf(handle) as object, 'connect')
  expect(Reflect.get(handle, 'connect')).toBe(own)
})
