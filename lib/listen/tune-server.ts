import type * as net from 'node:net'
import { native } from '../binding'
import { policyOptions, type CloseModeOptions } from '../close/options'
import type { CloseMode } from '../close/report'
import {
  noCloses,
  setServerPolicy,
  type CloseCounters,
  type ServerPolicy,
} from '../close/server-policy'
import { ArgumentTypeError, checkObject } from '../errors'
import { tcpInfo } from '../observe/tcp-info'
import { holdKeepAlive } from '../options/keep-alive'
import type { Settings } from '../options/option'
import type { OptionRow } from '../options/row'
import {
  applySettings,
  preparedOf,
  prepareSettings,
  type Checked,
  type PreparedSettings,
  type TuneReport,
} from '../options/tune'
import { descriptorOf, handleOf, isServer } from '../target'

export interface TuneServerOptions extends CloseModeOptions {
  /** What destroy() and destroySoon() of the accepted sockets do: see `setCloseMode`. */
  closeMode?: CloseMode | undefined
}

/** What happened to the connections of a tuned server. */
export interface ServerCounters extends CloseCounters {
  /** Connections that options were set on one by one. */
  tuned: number
  /** Of them, those that were gone or refused an option. */
  notTuned: number
}

/** The tuning of one server, in force until stop(). */
export interface ServerTuning<S extends object = Settings> {
  /** What came of the settings on the listening socket; undefined until it listens. */
  readonly report: Partial<TuneReport<S>> | undefined
  /** The same when it is there; rejects with what `tune()` throws. */
  readonly applied: Promise<Partial<TuneReport<S>>>
  /** The settings that accepted sockets do not inherit, and that are set on each of them. */
  readonly perConnection: readonly string[]
  readonly counters: ServerCounters
  /** Leaves connections accepted from now on as Node makes them. Options on the listening socket stay. */
  stop(): void
}

/**
 * Tunes a server and every connection that it accepts. What accepted sockets inherit is set once, on
 * the listening socket; only the rest is set on each connection. May be called before `listen()`:
 * values are checked at once and applied on 'listening'.
 *
 * With `closeMode: 'deliver'` a close costs one more system call, which finds out whether it is safe;
 * with `requireTimestamps: false` none. In a cluster worker the listening socket is out of reach: a
 * close mode works there, at two calls, and settings are ERR_SOCKET_TUNER_SHARED_HANDLE.
 *
 * @throws what `tune()` throws; when the server does not listen yet, `applied` rejects in its place
 */
export function tuneServer<const S extends Settings>(
  server: net.Server,
  settings: S & Checked<S>,
  options: TuneServerOptions = {},
): ServerTuning<S> {
  if (!isServer(server)) {
    throw new ArgumentTypeError(
      'server',
      'an instance of net.Server, http.Server, https.Server or tls.Server',
      server,
    )
  }
  const prepared = prepareSettings(settings)
  checkObject('options', options)
  const { closeMode } = options
  const policy = closeMode === undefined ? undefined : policyOptions(closeMode, options)
  const tuning = new Tuning<S>(server, prepared)
  tuning.policy = policy === undefined ? undefined : setServerPolicy(server, policy)
  return tuning
}

class Tuning<S extends object> implements ServerTuning<S> {
  report: Partial<TuneReport<S>> | undefined
  readonly applied: Promise<Partial<TuneReport<S>>>
  policy: ServerPolicy | undefined
  readonly #server: net.Server
  readonly #onListener: PreparedSettings
  readonly #onConnection: PreparedSettings
  readonly #all: PreparedSettings
  /** What connections that are older than the tuning missed. */
  readonly #onOlder: PreparedSettings
  #resolve: (() => void) | undefined
  #tuned = 0
  #notTuned = 0
  /** Connections whose handshake was complete before the listening socket was tuned. */
  #older = 0

  constructor(server: net.Server, all: PreparedSettings) {
    this.#server = server
    this.#all = all
    this.#onListener = part(all, (row) => !isPerConnection(row))
    const perConnection = (row: OptionRow): boolean =>
      isPerConnection(row) || (row.rewrittenByNode === true && rewritesKeepAlive(server))
    this.#onConnection = part(all, perConnection)
    this.#onOlder = part(all, (row) => perConnection(row) || row.inherited === true)
    this.applied = this.#start()
  }

  get perConnection(): readonly string[] {
    return this.#onConnection.operations.map(({ option }) => option.name)
  }

  get counters(): ServerCounters {
    const closes = this.policy?.counters ?? noCloses()
    return { ...closes, tuned: this.#tuned, notTuned: this.#notTuned }
  }

  stop(): void {
    this.policy?.stop()
    this.#server.off('listening', this.#listening)
    this.#server.off('connection', this.#connection)
  }

  #start(): Promise<Partial<TuneReport<S>>> {
    if (handleOf(this.#server) !== undefined) return Promise.resolve(this.#apply())
    const listening = new Promise<void>((resolve) => {
      this.#resolve = resolve
      this.#server.prependOnceListener('listening', this.#listening)
    })
    return listening.then(() => this.#apply())
  }

  readonly #listening = (): void => {
    this.#resolve?.()
  }

  #apply(): Partial<TuneReport<S>> {
    const nothing = this.#all.operations.length + this.#all.missing.length === 0
    if (nothing) return (this.report = {})
    // Not to a descriptor: a subscriber to a warning may have closed the server.
    this.report = applySettings(this.#server, this.#onListener)
    const untouched = this.#onListener.operations.length === 0
    this.#older = untouched ? 0 : waiting(descriptorOf(this.#server))
    if (this.#older > 0 || this.#concernsConnections()) {
      this.#server.prependListener('connection', this.#connection)
    }
    return this.report
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
      // The peer may have reset the connection by now; the server's own handlers will hear of it.
      this.#notTuned++
    }
  }
}

/** Connections that are complete and not accepted yet. They were made before the tuning. */
function waiting(fd: number): number {
  return native.localPort(fd) < 0 ? 0 : (tcpInfo(fd).unacked ?? 0)
}

/** Not inherited, and of use on a connection. */
function isPerConnection({ inherited, when }: OptionRow): boolean {
  return inherited === false && when === 'any'
}

/** Whether Node calls setKeepAlive() for each connection that it accepts. */
function rewritesKeepAlive(server: net.Server): boolean {
  return (server as { keepAlive?: boolean }).keepAlive === true
}

/** Those of the settings whose rows are wanted. */
function part(all: PreparedSettings, wanted: (row: OptionRow) => boolean): PreparedSettings {
  return preparedOf(
    all.operations.filter(({ option }) => wanted(option.row)),
    all.missing.filter(({ option }) => wanted(option.row)),
  )
}
