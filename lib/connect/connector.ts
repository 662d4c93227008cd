/** What clients of other packages are built on: options checked once, and any number of connections. */
import type * as net from 'node:net'
import { Duplex } from 'node:stream'
import * as tls from 'node:tls'
import { attachPolicy, observeClose, policyOf } from '../close/hooks'
import type { Closed } from '../close/modes'
import { CloseTally, type CloseTotals } from '../close/tally'
import { ArgumentTypeError, checkOptions } from '../errors'
import { isStreamSocket } from '../target'
import { connectTuned } from './connect'
import { addTls, connectTls } from './connect-tls'
import {
  prepareTuning,
  tuningOptions,
  type CheckedTuning,
  type Tuning,
  type TuningOptions,
} from './tuning'

/** What is known of a connector in this library. */
let tuningOf: (connector: Connector) => Tuning

/** What {@link connectorOf} gives to the constructor in place of options. */
const prepared = new WeakMap<TuningOptions, Tuning>()

/**
 * Makes connections that are all tuned alike: `settings`, `source`, `portRange` and `close` are checked once,
 * and a connection costs no check any more. It is what the agents, undici's connector and the load
 * generators of this package are built on, and is meant for adapters of other clients: give the client
 * {@link connect} where it takes a function that makes a socket.
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
  readonly #tuning: Tuning
  readonly #closes = new CloseTally()
  readonly #count = (closed: Closed): void => {
    this.#closes.add(closed)
  }

  static {
    tuningOf = (connector) => connector.#tuning
  }

  constructor(options: TuningOptions = {}) {
    this.#tuning = prepared.get(options) ?? prepareTuning(tuningOptions.check('options', options))
  }

  /**
   * What the closes of its connections came to so far, when they were made with `close`: a snapshot. A
   * connection is counted when it is closed.
   */
  counters(): CloseTotals {
    return this.#closes.totals
  }

  /**
   * Connects as `connect()` does, with what net.connect() takes.
   *
   * @throws as `connect()`, for what net.connect() takes; later failures are 'error' of the socket
   */
  connect(options: net.NetConnectOpts, connectListener?: () => void): net.Socket {
    const socket = connectTuned(options, this.#tuning, connectListener)
    this.#follow(socket)
    return socket
  }

  /**
   * Connects over TLS, with what tls.connect() and net.connect() take. The close mode is that of the TLS
   * socket, close_notify included. The server's name is left to the caller, as tls.connect() leaves it.
   * Errors of the connection below are emitted by the TLS socket.
   *
   * @throws as {@link connect}, and as tls.connect()
   */
  connectTls(
    options: tls.ConnectionOptions & net.NetConnectOpts,
    secureConnectListener?: () => void,
  ): tls.TLSSocket {
    const socket = connectTls(options, this.#tuning, secureConnectListener)
    this.#follow(socket)
    return socket
  }

  /**
   * Adds TLS to a connection, as after a proxy's answer to CONNECT or a STARTTLS, with what tls.connect()
   * takes. The close mode of the TLS socket is that of the connection below, or else this connector's; a
   * stream that is no socket has none. The connection is closed when TLS cannot be had.
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
    const socket = addTls(carrier, options, (all) => tls.connect(all, secureConnectListener))
    if (!isStreamSocket(carrier)) return socket
    const policy = policyOf(carrier) ?? this.#tuning.policy
    if (policy !== undefined) attachPolicy({ armed: false, ...policy, socket })
    this.#follow(socket)
    return socket
  }

  #follow(socket: net.Socket): void {
    if (this.#tuning.policy !== undefined) observeClose(socket, this.#count)
  }
}

/** A connector by options that were checked among others. @throws as prepareTuning() */
export function connectorOf(checked: CheckedTuning): Connector {
  const options = {}
  prepared.set(options, prepareTuning(checked))
  return new Connector(options)
}

export { tuningOf }
