/** The base of the adapters for other clients: options that are checked once, for any number of connections. */
import type * as net from 'node:net'
import { Duplex } from 'node:stream'
import type * as tls from 'node:tls'
import { attachPolicy, observeClose, policyOf } from '../close/hooks'
import { ClosePolicy } from '../close/mode'
import type { Closed, Observer } from '../close/modes'
import { CloseTally, type CloseTotals } from '../close/tally'
import { ArgumentTypeError, checkOptions } from '../errors'
import { onDemand } from '../node/on-demand'
import { isStreamSocket } from '../target'
import { connectTuned } from './connect'
import { addTls, connectBelow, connectTls } from './connect-tls'
import { prepareTuned } from './prepare-socket'
import {
  prepareTuning,
  tuningOptions,
  type CheckedTuning,
  type Tuning,
  type TuningOptions,
} from './tuning'

/** The internals of a connector for other files of this library. */
interface Parts {
  readonly tuning: Tuning
  /** Counts a close. */
  readonly count: Observer
}

let partsOf: (connector: Connector) => Parts

/** The prepared tuning that {@link connectorOf} passes to the constructor in place of options. */
interface Prepared {
  readonly tuning: Tuning
  readonly counted: (() => void) | undefined
}

const prepared = new WeakMap<TuningOptions, Prepared>()

/**
 * Opens connections that all have the same tuning: `settings`, `source`, `portRange` and `close` are checked
 * once, in the constructor. The agents, the connector for undici and the load generators of this package use
 * it. To adapt another client, pass it {@link connect} where it accepts a function that opens a socket.
 *
 * @throws as `connect()` does for the same options
 *
 * @example
 * ```js
 * const connector = new Connector({ settings: { TCP_NODELAY: true }, close: 'deliver' })
 * http.get({ host, port, createConnection: (options) => connector.connect(options) })
 * connector.counters() // { closes: { deliver: 1, … }, fallbacks: {}, timeWaitLeft: 0, … }
 * ```
 */
export class Connector {
  readonly #parts: Parts
  readonly #closes = new CloseTally()

  static {
    partsOf = (connector) => connector.#parts
  }

  constructor(options: TuningOptions = {}) {
    const known = prepared.get(options)
    const tuning = known?.tuning ?? prepareTuning(tuningOptions.check('options', options))
    const count = (closed: Closed): void => {
      this.#closes.add(closed)
      known?.counted?.()
    }
    this.#parts = { tuning, count }
  }

  /**
   * Returns a snapshot of the counts of its closed connections, if the connector has `close`.
   */
  counters(): CloseTotals {
    return this.#closes.totals
  }

  /**
   * Connects like `connect()`, with the options of net.connect().
   *
   * @throws as `connect()` does for these options; later failures are emitted as 'error' of the socket
   */
  connect(options: net.NetConnectOpts, connectListener?: () => void): net.Socket {
    return countCloses(this, connectTuned(options, this.#parts.tuning, connectListener))
  }

  /**
   * Connects over TLS, with the options of tls.connect() and net.connect(). The close mode applies to the TLS
   * socket, including its close_notify. Like tls.connect(), it does not derive `servername`. The TLS socket emits
   * the errors of the TCP connection.
   *
   * @throws as {@link connect}, and as tls.connect()
   */
  connectTls(
    options: tls.ConnectionOptions & net.NetConnectOpts,
    secureConnectListener?: () => void,
  ): tls.TLSSocket {
    return countCloses(this, connectTls(options, this.#parts.tuning, secureConnectListener))
  }

  /**
   * Creates an unconnected socket like `prepareSocket()`, with the options of new net.Socket(), for a driver that
   * calls its connect().
   *
   * @throws as `prepareSocket()`
   */
  prepareSocket(options: net.SocketConstructorOpts = {}): net.Socket {
    return countCloses(this, prepareTuned(options, this.#parts.tuning))
  }

  /**
   * Adds TLS to a connection with the options of tls.connect(), for example after a proxy's answer to CONNECT, or
   * after STARTTLS. The TLS socket has the close mode of the connection, or else the one of this connector. Over
   * a stream that is not a socket it has none. Closes the connection if TLS cannot be set up.
   *
   * @throws ERR_INVALID_ARG_TYPE, and as tls.connect()
   */
  wrapTls(
    carrier: Duplex,
    options: tls.ConnectionOptions = {},
    secureConnectListener?: () => void,
  ): tls.TLSSocket {
    if (!(carrier instanceof Duplex))
      throw new ArgumentTypeError('carrier', 'an instance of Duplex', carrier)
    checkOptions('options', options)
    const socket = addTls(carrier, options, (all) =>
      onDemand.tls.connect(all, secureConnectListener),
    )
    if (!isStreamSocket(carrier)) return socket
    const standing = policyOf(carrier)
    const { policy } = this.#parts.tuning
    if (standing !== undefined) attachPolicy(standing.over(socket))
    else if (policy !== undefined) attachPolicy(new ClosePolicy(socket, policy))
    return countCloses(this, socket)
  }
}

/**
 * Makes a connector from options that were checked as part of another bag.
 *
 * @param counted called after its counters have changed
 * @throws as prepareTuning()
 */
export function connectorOf(checked: CheckedTuning, counted?: () => void): Connector {
  const options = {}
  prepared.set(options, { tuning: prepareTuning(checked), counted })
  return new Connector(options)
}

export function tuningOf(connector: Connector): Tuning {
  return partsOf(connector).tuning
}

/** Counts a close in a connector, for a connection that no net.Socket owns. */
export function counterOf(connector: Connector): Observer {
  return partsOf(connector).count
}

/** Counts the closes of a socket in a connector that has a close mode. */
export function countCloses<Socket extends net.Socket>(
  connector: Connector,
  socket: Socket,
): Socket {
  const { tuning, count } = partsOf(connector)
  if (tuning.policy !== undefined) observeClose(socket, count)
  return socket
}

/**
 * As {@link Connector.connectTls}, but the caller adds TLS.
 *
 * @param add returns a TLS socket over `options.socket`
 */
export function connectTlsBy<Options extends object, Socket extends net.Socket>(
  connector: Connector,
  options: Options,
  add: (options: Options & { socket: net.Socket }) => Socket,
): Socket {
  return countCloses(connector, connectBelow(options, tuningOf(connector), add))
}
