import type * as http from 'node:http'
import type { Duplex } from 'node:stream'
import type { Connector } from '../../connect/connector'
import { adopt } from '../../connect/foreign'
import {
  afterAddRequest,
  agentPartsOf,
  aroundFree,
  followChecks,
  noRequest,
  type AgentParts,
  type ConnectionCallback,
} from '../../node/http-agent'
import {
  answerTo,
  failWithoutSocket,
  insteadOfSocket,
  requestOn,
  timeoutOf,
} from '../../node/http-request'
import { ArgumentValueError } from '../../errors'
import { isStreamSocket } from '../../target'
import { isUsable, isIntact } from '../sockets/idle'
import { LEAD_MS, MinIdle, closeUnused } from '../sockets/min-idle'
import { FRESH_MS, idleLimit, isIdempotent, type ReuseCounters } from '../sockets/reuse'
import { RepeatableRequest } from './repeatable-request'
import {
  answerFirst,
  agentConnectionOf,
  keep,
  watch,
  type AgentConnection,
} from './agent-connection'
import type { AgentTuning } from './agent-options'
import { WarmConnections } from './warm-connections'
import { MAX_INT32 } from '../../spec'

/** Checks, expires and replaces the connections of an agent. The agent still stores and assigns them. */
export class Pool {
  readonly counters: ReuseCounters
  readonly #parts: AgentParts
  readonly #connector: Connector
  readonly #retries: boolean
  readonly #marginMs: number
  readonly #warm: WarmConnections
  readonly #minIdle: MinIdle<http.ClientRequestArgs> | undefined
  /** Runs while idle connections have a time limit. */
  #timer: NodeJS.Timeout | undefined
  /** When it ends, by `performance.now()`. */
  #timerEnds = Infinity
  #lastHeader: string | undefined
  #lastLimitMs = Infinity
  /** The connection whose 'free' event is being handled. */
  freeing: AgentConnection | undefined

  constructor(agent: http.Agent, { connector, counters, retry, minIdle, marginMs }: AgentTuning) {
    this.#parts = agentPartsOf(agent)
    this.#connector = connector
    this.counters = counters
    // If no connection is used twice, no request can fail because of that.
    this.#retries = retry && (this.#parts.keepAlive || Number.isFinite(agent.maxSockets))
    this.#marginMs = marginMs
    this.#warm = new WarmConnections(agent)
    if (minIdle > 0) {
      this.#minIdle = new MinIdle(minIdle, this.#warm, counters)
      if (Number.isFinite(agent.maxTotalSockets))
        afterAddRequest(agent, () => {
          this.#warm.makeWay()
        })
    }
    this.#listen(agent)
  }

  /** @throws ERR_INVALID_ARG_VALUE without `minIdle` */
  warm(name: string, destination: http.ClientRequestArgs): Promise<void> {
    if (this.#minIdle === undefined)
      throw new ArgumentValueError('options.minIdle', 'must be at least 1 for warm()', 0)
    return this.#minIdle.warm(name, () => lasting(destination))
  }

  /** Handles a free connection before the agent assigns it to the next waiting request. */
  #listen(agent: http.Agent): void {
    aroundFree(
      agent,
      (socket, options) => {
        const connection = agentConnectionOf(socket)
        const waiting = connection === undefined ? undefined : this.#freed(connection, options)
        this.freeing = connection
        return waiting
      },
      (socket, waiting: http.ClientRequest | undefined) => {
        this.freeing = undefined
        const connection = agentConnectionOf(socket)
        // The agent may have found it dead.
        if (connection !== undefined && waiting !== undefined && !socket.destroyed)
          this.#use(connection, waiting)
      },
    )
  }

  /**
   * Prepares each new connection before the agent assigns it to a request. If `begin` throws before it calls back, the
   * error is the request's, wherever the agent was called from.
   */
  open(
    request: http.ClientRequest,
    name: string,
    options: http.ClientRequestArgs,
    callback: ConnectionCallback,
    begin: (created: ConnectionCallback) => void,
  ): void {
    if (request !== noRequest) this.#minIdle?.requested(name, () => lasting(options))
    const state = { settled: false }
    const created: ConnectionCallback = (error, socket) => {
      state.settled = true
      if (error === null) this.#created(socket, name)
      callback(error, socket)
    }
    try {
      begin(created)
    } catch (error) {
      if (state.settled) throw error
      ;(callback as (error: Error) => void)(error as Error)
    }
  }

  #created(socket: Duplex, name: string): void {
    this.counters.created++
    if (!isStreamSocket(socket)) return
    // A subclass may have created it in its own createConnection().
    adopt(this.#connector, socket)
    const connection = keep(socket, name)
    answerFirst(connection)
    if (this.#minIdle !== undefined) this.#replace(connection, this.#minIdle)
    if (!this.#retries) return
    watch(connection, (request, error) => {
      this.#again(request, connection, error)
    })
  }

  /** Has a connection replaced when it has ended. */
  #replace(connection: AgentConnection, minIdle: MinIdle<http.ClientRequestArgs>): void {
    connection.socket.once('close', () => {
      const { isUnused, name, freeSince, expiresAt } = connection
      const now = performance.now()
      if (!isUnused) minIdle.check(name)
      // An expired connection is no failure of its server.
      else minIdle.lost(name, expiresAt <= now ? Infinity : now - freeSince)
    })
  }

  /**
   * Called when the agent is about to assign an idle connection to a request. Returns whether the connection works. If
   * not, the agent assigns another one.
   */
  reuse(socket: Duplex, request: http.ClientRequest): boolean {
    const connection = agentConnectionOf(socket)
    if (connection === undefined) return true
    if (!this.#passes(connection, request)) {
      this.#divert(connection, request)
      return false
    }
    connection.expiresAt = Infinity
    this.#restoreTimeout(connection)
    this.#use(connection, request)
    return true
  }

  /** Makes the agent find another connection at the moment at which it assigns this one. */
  #divert({ socket, options }: AgentConnection, request: http.ClientRequest): void {
    const timeout = timeoutOf(request)
    insteadOfSocket(request, () => {
      this.#parts.addRequest(request, { ...options, timeout })
    })
    socket.destroy()
  }

  /** Limits the time of a connection that the agent is about to keep idle. */
  #idle(connection: AgentConnection): void {
    const request = requestOn(connection.socket)
    if (request === undefined || !this.#parts.keepAlive) return
    const limitMs = this.#limitBy(answerTo(request)?.headers['keep-alive']?.toString())
    if (this.#minIdle !== undefined) this.#announced(connection.name, limitMs, this.#minIdle)
    if (limitMs <= 0) {
      // A destroyed connection is not kept.
      connection.socket.destroy()
      return
    }
    this.#expire(connection, limitMs)
  }

  #expire(connection: AgentConnection, limitMs: number): void {
    connection.expiresAt = connection.freeSince + limitMs
    const next = this.#next(connection, performance.now())
    if (next < this.#timerEnds) this.#closeIdleAt(next)
  }

  /** The time at which an idle connection must be replaced or closed next. */
  #next({ expiresAt }: AgentConnection, now: number): number {
    const replacedAt = expiresAt - LEAD_MS
    return this.#minIdle !== undefined && replacedAt > now ? replacedAt : expiresAt
  }

  /** Applies the server's time limit to the unused connections too. */
  #announced(name: string, limitMs: number, minIdle: MinIdle<http.ClientRequestArgs>): void {
    minIdle.answered(name)
    if (minIdle.limitOf(name) === limitMs) return
    minIdle.limit(name, limitMs)
    for (const socket of this.#parts.freeSockets[name] ?? []) {
      const connection = agentConnectionOf(socket)
      if (connection?.isUnused === true) this.#expire(connection, limitMs)
    }
  }

  /** Called when the agent is about to keep a connection that `minIdle` opened. */
  #unused(connection: AgentConnection): void {
    this.#expire(connection, this.#minIdle?.limitOf(connection.name) ?? Infinity)
    // This also keeps the socket reading, so that it ends when the server closes it.
    connection.socket.on('data', closeUnused)
  }

  /** Called when a request gets a connection that `minIdle` opened. */
  #firstUse(connection: AgentConnection): void {
    connection.isUnused = false
    connection.socket.off('data', closeUnused)
    this.counters.warmedUsed++
  }

  /** Caches the result, since a server sends the same header each time. */
  #limitBy(header: string | undefined): number {
    if (header !== this.#lastHeader) {
      this.#lastHeader = header
      this.#lastLimitMs = idleLimit(header, this.#marginMs)
    }
    return this.#lastLimitMs
  }

  /** Called when the agent is destroyed, before its connections are. */
  abandon(): void {
    this.#minIdle?.stop()
    this.#warm.abandon()
    for (const sockets of Object.values(this.#parts.sockets)) {
      for (const socket of sockets ?? []) {
        const connection = agentConnectionOf(socket)
        if (connection !== undefined) connection.abandoned = true
      }
    }
  }

  /**
   * Called when a connection is free: after a request, or because it is new. Returns the waiting request that gets it
   * next, unless this is the first request on the connection.
   */
  #freed(
    connection: AgentConnection,
    options: http.ClientRequestArgs,
  ): http.ClientRequest | undefined {
    const { socket } = connection
    if (!socket.connecting)
      connection.nodeChecks ??= followChecks(socket, () => this.counters.deadBeforeReuse++)
    connection.repeatable?.end()
    connection.repeatable = undefined
    if (connection.options !== options) {
      connection.options = options
      connection.agentName = undefined
    }
    connection.freeSince = performance.now()
    const request = this.#parts.requests[connection.name]?.[0]
    if (connection.isUnused) {
      if (request === undefined) this.#unused(connection)
      else this.#firstUse(connection)
      return undefined
    }
    if (request === undefined) {
      this.#idle(connection)
      return undefined
    }
    if (socket.bytesRead === 0) return undefined
    if (this.#passes(connection, request)) return request
    // The agent opens another one for the waiting request.
    socket.destroy()
    return undefined
  }

  #passes(connection: AgentConnection, request: http.ClientRequest): boolean {
    if (connection.socket.destroyed) return false
    const now = performance.now()
    if (connection.expiresAt <= now) {
      this.counters.expired++
      return false
    }
    if (now - connection.freeSince < FRESH_MS && this.#isRetried(request)) return true
    // One check is enough: Node's own comes right before this one, or right after.
    if (connection.nodeChecks ? isIntact(connection.socket) : isUsable(connection.socket))
      return true
    this.counters.deadBeforeReuse++
    return false
  }

  #use(connection: AgentConnection, request: http.ClientRequest): void {
    const { bytesRead } = connection.socket
    const { options = {}, isUnused } = connection
    this.#minIdle?.requested(connection.name, () => lasting(options))
    if (isUnused) {
      this.#firstUse(connection)
      if (this.#isRetried(request))
        connection.repeatable = new RepeatableRequest(request, bytesRead)
      return
    }
    // A connection may be idle without having been used: its first request was destroyed early.
    if (request.destroyed || bytesRead === 0) return
    this.counters.reused++
    if (this.#isRetried(request)) connection.repeatable = new RepeatableRequest(request, bytesRead)
  }

  #isRetried(request: http.ClientRequest): boolean {
    return this.#retries && isIdempotent(request.method)
  }

  /**
   * Puts a request that was taken back in front of all waiting ones. The agent is notified next that the connection is
   * closed, and opens another one for it.
   */
  #again(request: http.ClientRequest, connection: AgentConnection, error: Error): void {
    if (connection.abandoned || request.destroyed) {
      failWithoutSocket(request, request.destroyed ? undefined : error)
      return
    }
    this.counters.retried++
    ;(this.#parts.requests[connection.name] ??= []).unshift(request)
  }

  /** Node shortens the timeout of an idle connection and does not always restore it. */
  #restoreTimeout({ socket }: AgentConnection): void {
    const { timeout = 0 } = this.#parts.options
    if ((socket.timeout ?? 0) !== timeout) socket.setTimeout(timeout)
  }

  #closeIdleAt(time: number): void {
    clearTimeout(this.#timer)
    this.#timerEnds = time
    const ms = Math.min(Math.max(0, time - performance.now()), MAX_INT32)
    this.#timer = setTimeout(() => {
      this.#closeIdle()
    }, ms).unref()
  }

  /** Closes the idle connections that have expired. */
  #closeIdle(): void {
    this.#timerEnds = Infinity
    const now = performance.now()
    let next = Infinity
    for (const socket of Object.values(this.#parts.freeSockets).flatMap((idle) => idle ?? [])) {
      const connection = agentConnectionOf(socket)
      if (connection === undefined) continue
      if (connection.expiresAt > now) {
        next = Math.min(next, this.#next(connection, now))
      } else if (!socket.destroyed) {
        this.counters.expired++
        socket.destroy()
      }
    }
    if (next !== Infinity) this.#closeIdleAt(next)
    this.#minIdle?.checkAll()
  }
}

/** The options of a request that hold for other connections to the same destination. */
function lasting(options: http.ClientRequestArgs): http.ClientRequestArgs {
  return { ...options, signal: undefined, timeout: undefined, headers: undefined }
}
