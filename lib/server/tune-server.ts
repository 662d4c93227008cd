import type * as net from 'node:net'
import { constants as os } from 'node:os'
import { native } from '../kernel/binding'
import { close } from '../close/options'
import {
  noCloses,
  setServerPolicy,
  type CloseCounters,
  type ServerPolicy,
} from '../close/server-policy'
import { ArgumentTypeError, SocketTunerError } from '../errors'
import { handleOf, type Handle } from '../node/handle'
import { setsKeepAlive } from '../node/keep-alive'
import { tcpInfo } from '../observe/tcp-info'
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

export const tuneServerOptions = spec({
  /** On the listening socket, and on accepted sockets where those do not inherit them. */
  settings: settingsOption.default({}),
  /** What destroy() and destroySoon() of the accepted sockets do: see `setCloseMode`. Default: as Node does. */
  close,
})

export interface TuneServerOptions<S extends object = Settings> extends Omit<
  InputOf<typeof tuneServerOptions>,
  'settings'
> {
  /** On the listening socket, and on accepted sockets where those do not inherit them. */
  settings?: (S & Checked<S>) | undefined
}

/** What happened to the connections of a tuned server. */
export interface ServerCounters extends CloseCounters {
  /** Connections that options were set on one by one. */
  tuned: number
  /** Of them, those that were gone or refused an option. */
  notTuned: number
}

/** The tuning of one server, in force until stop(). */
export interface ServerTuning<S extends object = Settings> extends Disposable {
  /** What came of the settings on the listening socket; undefined until it listens, and when it refused one. */
  readonly report: Partial<TuneReport<S>> | undefined
  /**
   * The same when it is there. Rejects with what `tune()` throws, and with ERR_SOCKET_TUNER_NO_HANDLE
   * when the server is closed, or the tuning stopped, before the server listens.
   */
  readonly applied: Promise<Partial<TuneReport<S>>>
  /** The settings that accepted sockets do not inherit, and that are set on each of them. */
  readonly perConnection: readonly string[]
  /** What happened so far: a snapshot. */
  counters(): ServerCounters
  /** Leaves connections accepted from now on as Node makes them. Options on the listening socket stay. */
  stop(): void
}

/**
 * Tunes a server and every connection that it accepts. What accepted sockets inherit is set once, on
 * the listening socket; only the rest is set on each connection. May be called before `listen()`:
 * values are checked at once and applied on 'listening', each time the server listens.
 *
 * A setting that the listening socket refuses is emitted as 'error' on the server, with the code that
 * `tune()` throws: the server goes on listening, with none of the settings. `applied` rejects with the
 * same error. Where `applied` was read and nobody listens for 'error', the rejection is all there is.
 *
 * With `close: 'deliver'` a close costs one more system call, which finds out whether it is safe;
 * with `requireTimestamps: false` none. In a cluster worker the listening socket is out of reach: a
 * close mode works there, at two calls, and settings are ERR_SOCKET_TUNER_SHARED_HANDLE.
 *
 * On a unix-domain server no option is inherited: all settings are set on each connection.
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
  const { settings, close: policy } = tuneServerOptions.check('options', options)
  const prepared = prepareSettings(settings)
  const tuning = new Tuning<S>(server, prepared)
  tuning.policy = policy === undefined ? undefined : setServerPolicy(server, policy)
  tuning.start()
  return tuning
}

/** As `tuneServer()` for a server that listens. @throws what `tune()` throws */
export function tuneListening(server: net.Server, settings: Settings): ServerTuning {
  const tuning = new Tuning<Settings>(server, prepareSettings(settings))
  tuning.apply()
  return tuning
}

class Tuning<S extends object> implements ServerTuning<S> {
  report: Partial<TuneReport<S>> | undefined
  policy: ServerPolicy | undefined
  readonly #server: net.Server
  readonly #all: PreparedSettings
  #onListener: PreparedSettings
  #onConnection: PreparedSettings
  /** Settings that connections older than the tuning missed. */
  #onOlder: PreparedSettings
  /** The listening socket that was tuned, or that refused to be. */
  #tunedHandle: Handle | undefined
  #failure: Error | undefined
  #isStopped = false
  #isAwaited = false
  #waiting: Waiting<Partial<TuneReport<S>>> | undefined
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
    return { ...closes, tuned: this.#tuned, notTuned: this.#notTuned }
  }

  stop(): void {
    this.#isStopped = true
    this.policy?.stop()
    this.#server.off('listening', this.#listening)
    this.#server.off('connection', this.#connection)
    this.#settle()?.reject(notTuned('the tuning was stopped'))
  }

  [Symbol.dispose](): void {
    this.stop()
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
    // Not to a descriptor: a subscriber to a warning may have closed the server.
    this.report = applySettings(this.#server, this.#onListener)
    const untouched = this.#onListener.operations.length === 0
    this.#older = untouched ? 0 : waiting(descriptorOf(this.#server))
    if (this.#older > 0 || this.#concernsConnections()) {
      this.#server.prependListener('connection', this.#connection)
    }
    return this.report
  }

  readonly #listening = (): void => {
    // An emitter calls a listener that another one has just removed. And a server has its socket before
    // it emits 'listening'.
    if (this.#isStopped || this.#tunedHandle === handleOf(this.#server)) return
    try {
      const report = this.apply()
      this.#settle()?.resolve(report)
    } catch (error) {
      this.#refused(error as Error)
    }
  }

  /** As Node emits errors: in the next tick, so that whoever called tuneServer() can listen. */
  #refused(error: Error): void {
    this.#failure = error
    this.#settle()?.reject(error)
    process.nextTick(() => {
      const isTold = this.#isAwaited && this.#server.listenerCount('error') === 0
      if (!isTold) this.#server.emit('error', error)
    })
  }

  #wait(): Waiting<Partial<TuneReport<S>>> {
    const server = this.#server
    const closed = (): void => {
      this.#settle()?.reject(notTuned('the server was closed'))
    }
    let settlers!: Pick<Waiting<Partial<TuneReport<S>>>, 'resolve' | 'reject'>
    const promise = new Promise<Partial<TuneReport<S>>>((resolve, reject) => {
      settlers = { resolve, reject }
    })
    server.once('close', closed)
    return { promise, ...settlers, closed }
  }

  /** The promise that somebody waits for, if any, to be settled by the caller. */
  #settle(): Waiting<Partial<TuneReport<S>>> | undefined {
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
      // The peer may have reset the connection by now, which the server's own handlers notice.
      this.#notTuned++
    }
  }
}

/** Somebody who waits for the settings to be applied. */
interface Waiting<T> {
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

function isUnixDomain(fd: number): boolean {
  return native.localPort(fd) === -os.errno.EAFNOSUPPORT
}

/** Connections that are complete and not accepted yet. They were made before the tuning. */
function waiting(fd: number): number {
  return native.localPort(fd) < 0 ? 0 : (tcpInfo(fd).unacked ?? 0)
}

/** Not inherited, and of use on a connection. */
function isPerConnection({ inherited, when }: OptionRow): boolean {
  return inherited === false && when === 'any'
}

/** Those of the settings whose rows are wanted. */
function part(all: PreparedSettings, wanted: (row: OptionRow) => boolean): PreparedSettings {
  return preparedOf(
    all.operations.filter(({ option }) => wanted(option.row)),
    all.missing.filter(({ option }) => wanted(option.row)),
  )
}
