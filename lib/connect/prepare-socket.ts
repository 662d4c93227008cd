/** Sockets for callers of connect(), such as drivers of databases and message brokers. */
import * as net from 'node:net'
import { constants as os } from 'node:os'
import { SocketTunerError } from '../errors'
import { refuseConnect } from '../node/connecting'
import { handleOf } from '../node/handle'
import { netSocketNames, socketConnectNames } from '../node/option-names'
import { isPrepared } from '../node/tcp-handle'
import { sharedSpec } from '../spec'
import { endpoint } from './address'
import { netArguments } from './connect-arguments'
import { abortBy, checkBlockList, checkSignal, dial, requireTunable, withCloseMode } from './dial'
import { existingSocket, type Dialer } from './dialer'
import { prepareTuning, tuningOptions, type Tuning, type TuningOptions } from './tuning'

/** The options of new net.Socket() and those of this library. */
export type PrepareSocketOptions = net.SocketConstructorOpts & TuningOptions

const ofConnect = "is an option of the socket's connect(), or of connect()"
const ofRawSocket = 'cannot be given: connect() opens the socket; use RawSocket for one of your own'

/** Options that new net.Socket() ignores. */
const refused = {
  ...Object.fromEntries(socketConnectNames.map((name) => [name, ofConnect])),
  timeout: 'is set by setTimeout() of the socket',
  fd: ofRawSocket,
  handle: ofRawSocket,
}

export const prepareSocketOptions = sharedSpec(tuningOptions.fields, netSocketNames, refused)

const onlyNodes = sharedSpec({}, netSocketNames, refused)

/**
 * Creates an unconnected net.Socket, for a driver that calls its connect(). The tuning takes effect in that
 * call as in `connect()`, for a host name, an address or a path. The driver's connect() takes the arguments of
 * Node's.
 *
 * A destination that does not fit the tuning, for example one of another family than the source, is emitted as
 * 'error'. Invalid arguments are thrown by the socket's connect(), as by Node's. A second connect() fails with
 * EALREADY while the first one is in progress, and with EISCONN after it has succeeded, as in Node. A closed
 * socket can be connected again, with the same tuning.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE; ERR_SOCKET_TUNER_UNKNOWN_OPTION for
 *   a misspelled option; ERR_SOCKET_TUNER_UNSUPPORTED. All of them before a socket is created
 *
 * @example
 * ```js
 * const settings = deadPeerDetection(30)
 * new pg.Client({ host, stream: () => prepareSocket({ settings, close: 'deliver' }) })
 * ```
 */
export function prepareSocket(options: PrepareSocketOptions = {}): net.Socket {
  const tuning = prepareTuning(prepareSocketOptions.check('options', options))
  return socketOf(prepareSocketOptions.rest(options), tuning)
}

/** As {@link prepareSocket}, with a prepared tuning. */
export function prepareTuned(options: net.SocketConstructorOpts, tuning: Tuning): net.Socket {
  onlyNodes.check('options', options)
  return socketOf(options, tuning)
}

type SocketOptions = net.SocketConstructorOpts & {
  /** Node has it since 22.13; this library supports it on every release. */
  readonly blockList?: net.BlockList | null | undefined
}

function socketOf(options: SocketOptions, tuning: Tuning): net.Socket {
  checkSignal(options.signal)
  checkBlockList(options.blockList)
  requireTunable(tuning)
  return new PreparedSocket(options, tuning)
}

class PreparedSocket extends net.Socket {
  readonly #options: SocketOptions
  readonly #tuning: Tuning

  constructor(options: SocketOptions, tuning: Tuning) {
    super({ ...options, signal: undefined })
    this.#options = options
    this.#tuning = tuning
    withCloseMode(this, tuning)
    abortBy(options.signal, this)
  }

  override connect(...args: readonly unknown[]): this {
    const { options, listener } = netArguments(args)
    const { signal, blockList } = this.#options
    const wasDestroyed = this.destroyed
    try {
      this.#requireFree(options)
      const all = { blockList, ...options } as unknown as net.NetConnectOpts
      dial(all, this.#tuning, this.#dialer, listener)
    } catch (error) {
      // Drivers expect a failure of connect() as 'error'. A destroyed socket cannot emit it, so throw.
      if (!(error instanceof SocketTunerError) || this.destroyed) throw error
      this.destroy(error)
      return this
    }
    abortBy(options.signal, this)
    // The close removed the listener of the constructor's signal.
    if (wasDestroyed) abortBy(signal, this)
    return this
  }

  override destroy(error?: Error): this {
    const { connecting } = this
    super.destroy(error)
    if (connecting) refuseConnect(this)
    return this
  }

  get #dialer(): Dialer {
    return existingSocket(this, (options, listener) => super.connect(options, listener))
  }

  /** Fails at once with EALREADY or EISCONN; Node would look the host up first. */
  #requireFree(options: net.NetConnectOpts): void {
    const handle = handleOf(this)
    const isOpen = (handle?.fd ?? -1) >= 0
    if (this.destroyed || handle === undefined || !(isOpen || isPrepared(handle))) return
    throw alreadyInUse(this.connecting ? 'EALREADY' : 'EISCONN', options)
  }
}

function alreadyInUse(code: 'EALREADY' | 'EISCONN', options: net.NetConnectOpts): SocketTunerError {
  const {
    path,
    host = 'localhost',
    port,
  } = options as Partial<net.TcpNetConnectOpts & net.IpcNetConnectOpts>
  const to = path ?? endpoint(host, Number(port))
  const why = code === 'EALREADY' ? 'is already connecting' : 'is already connected'
  return new SocketTunerError(`connect ${code} ${to}: this socket ${why}`, {
    code,
    errno: -os.errno[code],
    syscall: 'connect',
    address: path ?? host,
    port: path === undefined ? port : undefined,
  })
}
