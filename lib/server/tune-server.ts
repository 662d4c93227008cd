import type * as net from 'node:net'
import { close } from '../close/close-options'
import {
  noCloses,
  setServerPolicy,
  type CloseCounters,
  type ServerPolicy,
} from '../close/server-policy'
import { ArgumentTypeError, SocketTunerError } from '../errors'
import { isUnixDomain } from '../kernel/domain'
import { handleOf, type Handle } from '../node/handle'
import { setsKeepAlive } from '../node/keep-alive'
import { holdKeepAlive } from '../options/keep-alive'
import type { Settings } from '../options/option'
import type { OptionRow } from '../options/row'
import {
  applySettings,
  preparedOf,
  prepareSettings,
  settingsOption,
  type Checked,
  type PreparedSettings,
  type TuneReport,
} from '../options/tune'
import { spec, type InputOf } from '../spec'
import { descriptorOf, isServer } from '../target'
import { waitingOn } from './accept-queue'
import {
  connectionLimits,
  hasLimits,
  connectionLimitsOf,
  requireHttp,
  type ConnectionLimits,
} from './connection-limits'
import type { RetirementReason } from './life'
import { retirementOf } from './retirement'
import { shutDown, type ShutdownOptions, type ShutdownReport } from './shutdown'

export const tuneServerOptions = spec({
  /** Set on the listening socket, and on each accepted socket that does not inherit them. */
  settings: settingsOption.default({}),
  /** The standing close mode of the accepted sockets: see `setCloseMode`. Default: Node's own close. */
  close,
  ...connectionLimits.fields,
})

export interface TuneServerOptions<S extends object = Settings> extends Omit<
  InputOf<typeof tuneServerOptions>,
  'settings'
> {
  /** Set on the listening socket, and on each accepted socket that does not inherit them. */
  settings?: (S & Checked<S>) | undefined
}

/** Counts the connections of a tuned server. */
export interface ServerCounters extends CloseCounters {
  /** Connections on which options were set individually. */
  tuned: number
  /** Connections that refused an option or had already ended. */
  notTuned: number
  /** Connections that the server ended, by reason: their age, the number of their requests, or a shutdown. */
  retired: Record<RetirementReason, number>
}

/** The tuning of one server, in force until stop(). */
export interface ServerTuning<S extends object = Settings> extends Disposable {
  /** The outcome of the settings on the listening socket; undefined until it listens, and if it refused one. */
  readonly report: Partial<TuneReport<S>> | undefined
  /**
   * Resolves with `report` when the server listens. Rejects with the error of `tune()`, or with
   * ERR_SOCKET_TUNER_NO_HANDLE if the server is closed, or the tuning stopped, before the server listens.
   */
  readonly applied: Promise<Partial<TuneReport<S>>>
  /** The settings that accepted sockets do not inherit, which are set on each of them. */
  readonly perConnection: readonly string[]
  /** Returns a snapshot of the counters. */
  counters(): ServerCounters
  /** Stops tuning further connections. Options of the listening socket stay. */
  stop(): void
  /**
   * Closes the server without a failed request. Each connection is due to end at a moment within `overMs`, at an even
   * rate, and connections are accepted until then. A due HTTP/1 connection ends by `Connection: close` with a response,
   * or is closed after it was idle for an eighth of the time between `overMs` and `deadlineMs`. A due HTTP/2 session
   * gets GOAWAY. Upgraded connections, and those of other protocols, are left to the application. Connections that are
   * open at the deadline are destroyed.
   *
   * Resolves when no connection is open; never rejects. Does not keep the process alive. A second call returns the
   * promise of the first one.
   *
   * @throws (at once) ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_SOCKET_TUNER_UNKNOWN_OPTION
   */
  shutdown(options?: ShutdownOptions): Promise<ShutdownReport>
}

/**
 * Tunes a server and every connection that it accepts. Inherited options are set once, on the listening socket; only
 * the others are set on each connection. May be called before `listen()`: values are checked at once, and applied each
 * time the server emits 'listening'.
 *
 * If the listening socket refuses a setting, the server emits the error of `tune()` as 'error' and continues to listen
 * without any of the settings. `applied` rejects with the same error. If `applied` was read and 'error' has no
 * listener, the error is not emitted.
 *
 * `close: 'deliver'` costs one more system call for each close, to check that it is safe; with
 * `requireTimestamps: false` it costs none. An http server makes another one before the last write of a response
 * that closes the connection. In a cluster worker the listening socket is not accessible: a close mode
 * works at a cost of two calls, and settings fail with ERR_SOCKET_TUNER_SHARED_HANDLE.
 *
 * Connections of a unix-domain server inherit nothing, so all settings are set on each connection.
 *
 * `maxConnectionAgeMs` and `maxRequests` need an HTTP server; others are refused with ERR_INVALID_ARG_VALUE.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_SOCKET_TUNER_UNKNOWN_OPTION
 */
export function tuneServer<const S extends Settings>(
  server: net.Server,
  options: TuneServerOptions<S>,
): ServerTuning<S> {
  if (!isServer(server)) {
    throw new ArgumentTypeError(
      'server',
      'an instance of net.Server, http.Server, https.Server or tls.Server',
      server,
    )
  }
  const checked = tuneServerOptions.check('options', options)
  const { settings, close: policy } = checked
  const limits = connectionLimitsOf(checked)
  const prepared = prepareSettings(settings)
  requireHttp(server, limits, 'options')
  const tuning = new TunedServer<S>(server, prepared)
  // Also without limits: it keeps the HTTP/2 sessions for a shutdown.
  const retirement = retirementOf(server)
  if (hasLimits(limits)) {
    tuning.limits = limits
    retirement.limit(limits)
  }
  tuning.policy = policy === undefined ? undefined : setServerPolicy(server, policy)
  tuning.start()
  return tuning
}

/** As `tuneServer()`, for a server that already listens. @throws what `tune()` throws */
export function tuneListening(server: net.Server, settings: Settings): ServerTuning {
  const tuning = new TunedServer<Settings>(server, prepareSettings(settings))
  tuning.apply()
  return tuning
}

class TunedServer<S extends object> implements ServerTuning<S> {
  report: Partial<TuneReport<S>> | undefined
  policy: ServerPolicy | undefined
  limits: ConnectionLimits | undefined
  readonly #server: net.Server
  readonly #all: PreparedSettings
  #onListener: PreparedSettings
  #onConnection: PreparedSettings
  /** Settings for connections that are older than the tuning. */
  #onOlder: PreparedSettings
  /** The listening socket to which the settings were applied, or that refused one. */
  #tunedHandle: Handle | undefined
  #failure: Error | undefined
  #isStopped = false
  #isAwaited = false
  #waiting: AwaitedReport<Partial<TuneReport<S>>> | undefined
  #tuned = 0
  #notTuned = 0
  /** Connections whose handshake was complete before the listening socket was tuned. */
  #older = 0

  constructor(server: net.Server, all: PreparedSettings) {
    this.#server = server
    this.#all = all
    const perConnection = (row: OptionRow): boolean =>
      isPerConnection(row) || (row.rewrittenByNode === true && setsKeepAlive(server))
    this.#onListener = part(all, (row) => !isPerConnection(row))
    this.#onConnection = part(all, perConnection)
    this.#onOlder = part(all, (row) => perConnection(row) || row.inherited === true)
  }

  get applied(): Promise<Partial<TuneReport<S>>> {
    this.#isAwaited = true
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (this.report !== undefined) return Promise.resolve(this.report)
    if (this.#isStopped) return Promise.reject(notTuned('the tuning was stopped'))
    this.#waiting ??= this.#wait()
    return this.#waiting.promise
  }

  get perConnection(): readonly string[] {
    return this.#onConnection.operations.map(({ option }) => option.name)
  }

  counters(): ServerCounters {
    const closes = this.policy?.counters() ?? noCloses()
    const { retired } = retirementOf(this.#server)
    return { ...closes, tuned: this.#tuned, notTuned: this.#notTuned, retired }
  }

  stop(): void {
    this.#isStopped = true
    this.policy?.stop()
    if (this.limits !== undefined) retirementOf(this.#server).unlimit(this.limits)
    this.#server.off('listening', this.#listening)
    this.#server.off('connection', this.#connection)
    this.#settle()?.reject(notTuned('the tuning was stopped'))
  }

  [Symbol.dispose](): void {
    this.stop()
  }

  shutdown(options?: ShutdownOptions): Promise<ShutdownReport> {
    return shutDown(this.#server, options)
  }

  start(): void {
    this.#server.prependListener('listening', this.#listening)
    if (handleOf(this.#server) !== undefined) this.#listening()
  }

  /** Tunes the listening socket that the server has now. @throws what `tune()` throws */
  apply(): Partial<TuneReport<S>> {
    this.#tunedHandle = handleOf(this.#server)
    this.#server.off('connection', this.#connection)
    this.#older = 0
    this.#failure = undefined
    this.report = undefined
    const nothing = this.#all.operations.length + this.#all.missing.length === 0
    if (nothing) return (this.report = {})
    if (isUnixDomain(descriptorOf(this.#server))) {
      this.#onListener = this.#all
      this.#onConnection = this.#all
      this.#onOlder = this.#all
    }
    // Applied to the server, not to its descriptor: a subscriber to a warning may have closed the server.
    this.report = applySettings(this.#server, this.#onListener)
    const untouched = this.#onListener.operations.length === 0
    this.#older = untouched ? 0 : waitingOn(descriptorOf(this.#server))
    if (this.#older > 0 || this.#concernsConnections()) {
      this.#server.prependListener('connection', this.#connection)
    }
    return this.report
  }

  readonly #listening = (): void => {
    // An emitter still calls a listener that another one has just removed. And a server has its socket before it
    // emits 'listening'.
    if (this.#isStopped || this.#tunedHandle === handleOf(this.#server)) return
    try {
      const report = this.apply()
      this.#settle()?.resolve(report)
    } catch (error) {
      this.#refused(error as Error)
    }
  }

  /** Emits the error in the next tick, as Node does, so that the caller of tuneServer() can add a listener. */
  #refused(error: Error): void {
    this.#failure = error
    this.#settle()?.reject(error)
    process.nextTick(() => {
      const isTold = this.#isAwaited && this.#server.listenerCount('error') === 0
      if (!isTold) this.#server.emit('error', error)
    })
  }

  #wait(): AwaitedReport<Partial<TuneReport<S>>> {
    const server = this.#server
    const closed = (): void => {
      this.#settle()?.reject(notTuned('the server was closed'))
    }
    let settlers!: Pick<AwaitedReport<Partial<TuneReport<S>>>, 'resolve' | 'reject'>
    const promise = new Promise<Partial<TuneReport<S>>>((resolve, reject) => {
      settlers = { resolve, reject }
    })
    server.once('close', closed)
    return { promise, ...settlers, closed }
  }

  /** Takes the pending promise of `applied`, if any. The caller must settle it. */
  #settle(): AwaitedReport<Partial<TuneReport<S>>> | undefined {
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting !== undefined) this.#server.off('close', waiting.closed)
    return waiting
  }

  readonly #connection = (socket: net.Socket): void => {
    const settings = this.#older > 0 ? this.#onOlder : this.#onConnection
    if (this.#older > 0) this.#older--
    const fd = handleOf(socket)?.fd ?? -1
    if (fd >= 0 && settings.operations.length > 0) this.#tune(socket, settings)
    holdKeepAlive(socket, this.#all.held)
    if (this.#older === 0 && !this.#concernsConnections()) {
      this.#server.off('connection', this.#connection)
    }
  }

  #concernsConnections(): boolean {
    return this.#onConnection.operations.length > 0 || this.#all.held.length > 0
  }

  #tune(socket: net.Socket, settings: PreparedSettings): void {
    try {
      applySettings(socket, settings)
      this.#tuned++
    } catch {
      // The peer may have reset the connection, which the server's own handlers notice.
      this.#notTuned++
    }
  }
}

/** The pending promise of `applied`. */
interface AwaitedReport<T> {
  readonly promise: Promise<T>
  readonly resolve: (report: T) => void
  readonly reject: (error: Error) => void
  readonly closed: () => void
}

function notTuned(why: string): SocketTunerError {
  return new SocketTunerError(`Nothing was tuned: ${why} before the server listened`, {
    code: 'ERR_SOCKET_TUNER_NO_HANDLE',
  })
}

/** Whether an option is not inherited, and can be set on a connection. */
function isPerConnection({ inherited, when }: OptionRow): boolean {
  return inherited === false && when === 'any'
}

/** The part of the settings whose rows match. */
function part(all: PreparedSettings, wanted: (row: OptionRow) => boolean): PreparedSettings {
  return preparedOf(
    all.operations.filter(({ option }) => wanted(option.row)),
    all.missing.filter(({ option }) => wanted(option.row)),
  )
}
