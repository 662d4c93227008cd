/**
 * The number of a closed descriptor may belong to another socket at once. In these tests a newcomer
 * takes the number wherever that can happen. Nothing may ever touch it.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { closeSync } from 'node:fs'
import * as net from 'node:net'
import {
  RawSocket,
  closeSocket,
  getOption,
  queueSizes,
  setCloseMode,
  setOption,
  tcpInfo,
  tune,
  tuneServer,
  type CloseModeName,
  type Target,
} from '../lib'
import { native } from '../lib/kernel/binding'
import { handleOf, transportHandleOf, type Handle } from '../lib/node/handle'
import { connected, type Transport } from './close/pair'
import { until } from './helpers/until'
import { closeLater, connectedPair, failureOf, listen } from './sockets'

const UNREAD = 5
const watched = [
  'SO_KEEPALIVE',
  'SO_LINGER',
  'SO_RCVBUF',
  'SO_SNDBUF',
  'TCP_CORK',
  'TCP_KEEPIDLE',
  'TCP_LINGER2',
  'TCP_NODELAY',
] as const

/** A connected socket with unread input, which takes the numbers of closed descriptors. */
class Newcomer {
  readonly #fd: number
  readonly #peer: net.Socket
  readonly #before: object
  readonly #copies: number[] = []
  #ended = false

  private constructor(fd: number, peer: net.Socket) {
    this.#fd = fd
    this.#peer = peer
    peer.on('end', () => (this.#ended = true)).on('error', () => (this.#ended = true))
    peer.on('data', () => (this.#ended = true))
    this.#before = this.#state()
  }

  static async arrives(): Promise<Newcomer> {
    const { client, accepted } = await connectedPair()
    // The server pauses its connections, so nothing reads from this one.
    const number = handleOf(accepted)?.fd ?? -1
    client.write(Buffer.alloc(UNREAD))
    await until(
      'its input',
      () => queueSizes(number).unread,
      (bytes) => bytes === UNREAD,
    )
    return new Newcomer(number, client)
  }

  /** Takes a number that has just been closed. */
  take(number: number): void {
    const extra: number[] = []
    for (let copy = native.duplicateFd(this.#fd); copy !== number;) {
      if (copy < 0 || copy > number) throw new Error(`${String(number)} is not free`)
      extra.push(copy)
      copy = native.duplicateFd(this.#fd)
    }
    for (const copy of extra) closeSync(copy)
    this.#copies.push(number)
  }

  /** The count of numbers that it took. */
  get taken(): number {
    return this.#copies.length
  }

  /** Expects that nothing has touched it, and that it is still open under every number that it took. */
  expectUntouched(): void {
    expect(this.#state()).toEqual(this.#before)
    expect(this.#ended).toBe(false)
    expect(this.#peer.bytesRead).toBe(0)
    for (const copy of this.#copies.splice(0)) {
      expect(queueSizes(copy).unread).toBe(UNREAD)
      closeSync(copy)
    }
  }

  #state(): object {
    const options = watched.map((name) => [name, getOption(this.#fd, name)])
    return { options, queues: queueSizes(this.#fd), state: tcpInfo(this.#fd).state }
  }
}

/** Gives the number of a handle to the newcomer at the moment when the handle closes it. */
function recycleAtClose(socket: object, newcomer: Newcomer): void {
  const handle = transportHandleOf(socket) as
    (Handle & { close: (done?: () => void) => void }) | undefined
  if (handle === undefined) throw new Error('no handle')
  const close = handle.close.bind(handle)
  handle.close = (done) => {
    const { fd = -1 } = handle
    close(done)
    if (fd >= 0) newcomer.take(fd)
  }
}

/** Calls `act` within a call that emits a warning. */
function onWarning(act: () => void): void {
  const listener = (): void => {
    unsubscribe('socket-tuner:warning', listener)
    act()
  }
  subscribe('socket-tuner:warning', listener)
  closeLater(() => unsubscribe('socket-tuner:warning', listener))
}

beforeEach(() => {
  jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
})

afterEach(() => {
  jest.restoreAllMocks()
})

/** Every function that accepts a target. */
const calls: readonly [name: string, call: (target: Target) => unknown][] = [
  ['getOption', (target) => getOption(target, 'SO_ERROR')],
  [
    'setOption',
    (target): void => {
      setOption(target, 'SO_KEEPALIVE', true)
    },
  ],
  ['tune', (target) => tune(target, { SO_KEEPALIVE: true, TCP_NODELAY: true, TCP_KEEPIDLE: 9 })],
  ['tcpInfo', (target) => tcpInfo(target)],
  ['queueSizes', (target) => queueSizes(target)],
  [
    'setCloseMode',
    (target): void => {
      setCloseMode(target, 'reset')
    },
  ],
]

describe('the new owner of the number of a closed target is not touched by', () => {
  it.each(calls)('%s of a net.Socket', async (_, call) => {
    const newcomer = await Newcomer.arrives()
    const { client } = await connectedPair()
    recycleAtClose(client, newcomer)
    client.destroy()
    expect(newcomer.taken).toBe(1)
    expect(failureOf(() => call(client)).code).toBe('ERR_SOCKET_TUNER_DESTROYED')
    newcomer.expectUntouched()
  })

  it.each(calls)('%s of a RawSocket', async (_, call) => {
    const newcomer = await Newcomer.arrives()
    const raw = RawSocket.open(4)
    const { fd } = raw
    raw.close()
    newcomer.take(fd)
    expect(failureOf(() => call(raw)).code).toBe('ERR_SOCKET_TUNER_DESTROYED')
    newcomer.expectUntouched()
  })

  it.each<[string, (raw: RawSocket) => unknown]>([
    ['bind', (raw) => raw.bind()],
    ['connect', (raw) => raw.connect({ port: 1, host: '127.0.0.1' })],
    ['tune', (raw) => raw.tune({ SO_KEEPALIVE: true })],
    ['getOption', (raw) => raw.getOption('SO_ERROR')],
    ['localAddress', (raw) => raw.localAddress],
  ])('RawSocket.%s', async (_, call) => {
    const newcomer = await Newcomer.arrives()
    const raw = RawSocket.open(4)
    const { fd } = raw
    raw.close()
    newcomer.take(fd)
    expect(failureOf(() => call(raw)).code).toBe('ERR_SOCKET_TUNER_DESTROYED')
    raw.close()
    raw[Symbol.dispose]()
    await expect(raw.listenOn(net.createServer())).rejects.toMatchObject({
      code: 'ERR_SOCKET_TUNER_DESTROYED',
    })
    newcomer.expectUntouched()
  })

  it('closeSocket', async () => {
    const newcomer = await Newcomer.arrives()
    const { client } = await connectedPair()
    recycleAtClose(client, newcomer)
    client.destroy()
    for (const mode of modes) await closeSocket(client, mode)
    newcomer.expectUntouched()
  })

  it('the tuning of a closed server', async () => {
    const newcomer = await Newcomer.arrives()
    const server = net.createServer()
    await listen(server)
    const tuning = tuneServer(server, { settings: { SO_KEEPALIVE: true }, close: 'deliver' })
    await tuning.applied
    recycleAtClose(server, newcomer)
    server.close()
    expect(newcomer.taken).toBe(1)
    tuning.stop()
    setCloseMode(server, 'fin')
    newcomer.expectUntouched()
  })
})

describe('the new owner of the number of a target that a subscriber to warnings closes is not touched by', () => {
  it.each<[string, (target: Target) => unknown]>([
    ['getOption', (target) => getOption(target, 'SO_ERROR')],
    [
      'setOption',
      (target): void => {
        setOption(target, 'TCP_MAXSEG', 1_000)
      },
    ],
    ['tune', (target) => tune(target, { SO_KEEPALIVE: true, TCP_MAXSEG: 1_000 })],
  ])('%s', async (_, call) => {
    const newcomer = await Newcomer.arrives()
    const { client } = await connectedPair()
    recycleAtClose(client, newcomer)
    onWarning(() => client.destroy())
    expect(failureOf(() => call(client)).code).toBe('ERR_SOCKET_TUNER_DESTROYED')
    expect(newcomer.taken).toBe(1)
    newcomer.expectUntouched()
  })

  it('setCloseMode of a RawSocket', async () => {
    const newcomer = await Newcomer.arrives()
    const raw = RawSocket.open(4).bind({ address: '127.0.0.1' })
    const { fd } = raw
    native.listenFd(fd, 1)
    onWarning(() => {
      raw.close()
      newcomer.take(fd)
    })
    const call = (): void => {
      setCloseMode(raw, 'reset')
    }
    expect(failureOf(call).code).toBe('ERR_SOCKET_TUNER_DESTROYED')
    newcomer.expectUntouched()
  })

  it('tuneServer', async () => {
    const newcomer = await Newcomer.arrives()
    const server = net.createServer()
    await listen(server)
    recycleAtClose(server, newcomer)
    onWarning(() => server.close())
    const linger = { SO_LINGER: { enabled: true, seconds: 0 } }
    await expect(
      async () => tuneServer(server, { settings: linger }).applied,
    ).rejects.toMatchObject({
      code: 'ERR_SOCKET_TUNER_NO_HANDLE',
    })
    expect(newcomer.taken).toBe(1)
    newcomer.expectUntouched()
  })

  it('tuneServer with an earlier connection', async () => {
    const newcomer = await Newcomer.arrives()
    const server = net.createServer()
    const port = await listen(server)
    const client = net.connect(port, '127.0.0.1')
    closeLater(() => client.destroy())
    // The client may receive a RST.
    client.on('error', () => undefined).resume()
    // connect(2) is called in the next tick, and is complete when it returns. The connection is accepted only
    // in the next turn of the event loop.
    await new Promise<void>((resolve) => {
      process.nextTick(resolve)
    })
    expect(tcpInfo(server).unacked).toBe(1)
    const tuning = tuneServer(server, { settings: { TCP_MAXSEG: 1_000 } })
    // This listener runs before that of the tuning.
    server.prependListener('connection', (socket: net.Socket) => {
      recycleAtClose(socket, newcomer)
      onWarning(() => socket.destroy())
    })
    await once(client, 'close')
    expect(tuning.counters().notTuned).toBe(1)
    newcomer.expectUntouched()
  })
})

const modes: readonly CloseModeName[] = ['fin', 'deliver', 'lingering', 'reset']
const transports: readonly Transport[] = ['tcp', 'tls']

describe.each(transports)(
  'the new owner of a number that is closed over %s is not touched by',
  (transport) => {
    it.each(modes)('closeSocket %s', async (mode) => {
      const newcomer = await Newcomer.arrives()
      const { client, peer, peerClosed } = await connected(transport)
      recycleAtClose(client, newcomer)
      client.write('last words')
      const closing = closeSocket(client, mode)
      await once(client, 'close')
      expect(newcomer.taken).toBe(1)
      client.destroy()
      peer.destroy()
      await closing
      await closeSocket(client, 'reset')
      await peerClosed
      newcomer.expectUntouched()
    })

    it.each(modes)('closeSocket %s at its deadline', async (mode) => {
      const newcomer = await Newcomer.arrives()
      const { client, peer } = await connected(transport)
      recycleAtClose(client, newcomer)
      peer.pause()
      client.write(Buffer.alloc(64 * 2 ** 20))
      await closeSocket(client, { mode, deadlineMs: 20 })
      expect(newcomer.taken).toBe(1)
      newcomer.expectUntouched()
    })

    it.each(modes)('closeSocket %s that a second call turns into a reset', async (mode) => {
      const newcomer = await Newcomer.arrives()
      const { client, peer } = await connected(transport, { allowHalfOpen: true })
      recycleAtClose(client, newcomer)
      peer.pause()
      const first = closeSocket(client, mode)
      await once(client, 'close')
      expect(newcomer.taken).toBe(1)
      await closeSocket(client, 'reset')
      await first
      newcomer.expectUntouched()
    })

    it.each(modes)("destroy() under setCloseMode(socket, '%s')", async (mode) => {
      const newcomer = await Newcomer.arrives()
      const { client, peerClosed } = await connected(transport)
      setCloseMode(client, mode)
      recycleAtClose(client, newcomer)
      client.write('last words')
      client.destroy()
      await once(client, 'close')
      expect(newcomer.taken).toBe(1)
      await peerClosed
      newcomer.expectUntouched()
    })
  },
)

describe('the new owner of a number is not touched', () => {
  it('if a lingering close was reading from the closed descriptor', async () => {
    const newcomer = await Newcomer.arrives()
    const { client, peer, peerClosed } = await connected()
    const copies: number[] = []
    const duplicateFd = native.duplicateFd.bind(native)
    jest.spyOn(native, 'duplicateFd').mockImplementation((fd) => {
      copies.push(duplicateFd(fd))
      return copies.at(-1) ?? -1
    })
    const closing = closeSocket(client, 'lingering')
    await once(client, 'close')
    jest.restoreAllMocks()
    const [copy = -1] = copies
    peer.end()
    await closing
    newcomer.take(copy)
    await closeSocket(client, 'reset')
    await peerClosed
    newcomer.expectUntouched()
  })
})
