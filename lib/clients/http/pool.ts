import type * as http from 'node:http'
import type { Duplex } from 'node:stream'
import { attachPolicy, policyOf } from '../../close/hooks'
import type { Tuning } from '../../connect/tuning'
import {
  agentPartsOf,
  answerTo,
  aroundFree,
  failWithoutSocket,
  followLooks,
  insteadOfSocket,
  requestOn,
  timeoutOf,
  type AgentParts,
  type ConnectionCallback,
} from '../../node/http-client'
import { isStreamSocket } from '../../target'
import { Attempt, isIdempotent } from './attempt'
import { connectionOf, keep, watch, type Connection } from './connection'
import { idleLimit, isUsable, isWhole } from './idle'
import type { AgentTuning } from './options'

/** What became of an agent's connections and requests. */
export interface AgentCounters {
  /** Connections that were begun. */
  created: number
  /** Requests that were given a connection which had carried an answer before. */
  reused: number
  /** Idle connections that were dead when they were looked at to be used again. */
  deadBeforeReuse: number
  /** Idle connections that were given up before their server closes them, as it had announced. */
  expired: number
  /** Requests that failed on a reused connection and were sent once more. */
  retried: number
}

/**
 * A connection that has been free for less is not looked at for a request that is sent once more if
 * it fails, ms. The system call would cost a busy client 4 % of its requests per second.
 */
const FRESH_MS = 1

/** The longest that a timer runs, ms. */
const MAX_DELAY_MS = 2 ** 31 - 1

/** Looks after the connections of an agent, which keeps them and gives them out as ever. */
export class Pool {
  readonly counters: AgentCounters = {
    created: 0,
    reused: 0,
    deadBeforeReuse: 0,
    expired: 0,
    retried: 0,
  }
  readonly #parts: AgentParts
  readonly #tuning: Tuning
  readonly #retries: boolean
  readonly #marginMs: number
  /** Runs while there are idle connections whose time is limited. */
  #timer: NodeJS.Timeout | undefined
  /** When it ends, by `performance.now()`. */
  #timerEnds = Infinity
  #lastHeader: string | undefined
  #lastLimitMs = Infinity
  /** The connection that the agent is told of as free. */
  freeing: Connection | undefined

  constructor(agent: http.Agent, { tuning, retry, marginMs }: AgentTuning) {
    this.#parts = agentPartsOf(agent)
    this.#tuning = tuning
    // Where no connection is used twice there is none to fail for that.
    this.#retries = retry && (this.#parts.keepAlive || Number.isFinite(agent.maxSockets))
    this.#marginMs = marginMs
    this.#listen(agent)
  }

  /** Hears of a free connection before the agent, which gives it to the next request that waits. */
  #listen(agent: http.Agent): void {
    aroundFree(
      agent,
      (socket, options) => {
        const connection = connectionOf(socket)
        const waiting = connection === undefined ? undefined : this.#freed(connection, options)
        this.freeing = connection
        return waiting
      },
      (socket, waiting: http.ClientRequest | undefined) => {
        this.freeing = undefined
        const connection = connectionOf(socket)
        // Unless the agent has found that it is dead.
        if (connection !== undefined && waiting !== undefined && !socket.destroyed)
          this.#use(connection, waiting)
      },
    )
  }

  /**
   * Has each new connection looked after before the agent gives it to a request. What `begin` throws
   * before it has called back is the request's error, wherever the agent makes the connection from.
   */
  open(
    name: string,
    callback: ConnectionCallback,
    begin: (created: ConnectionCallback) => void,
  ): void {
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
    const { policy } = this.#tuning
    // Made by another createConnection() than the agents' own.
    if (policy !== undefined && policyOf(socket) === undefined)
      attachPolicy({ ...policy, socket, armed: false })
    const connection = keep(socket, name)
    if (!this.#retries) return
    watch(connection, (request, error) => {
      this.#again(request, connection, error)
    })
  }

  /**
   * The agent is about to give an idle connection to a request: whether it works. If it does not, the
   * agent gives the request another one.
   */
  reuse(socket: Duplex, request: http.ClientRequest): boolean {
    const connection = connectionOf(socket)
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

  /** Has the agent look for another connection when it hands this one to the request. */
  #divert({ socket, options }: Connection, request: http.ClientRequest): void {
    const timeout = timeoutOf(request)
    insteadOfSocket(request, () => {
      this.#parts.addRequest(request, { ...options, timeout })
    })
    socket.destroy()
  }

  /** The agent is about to keep a connection idle, for how long it may. */
  #idle(connection: Connection): void {
    const request = requestOn(connection.socket)
    if (request === undefined || !this.#parts.keepAlive) return
    const limitMs = this.#limitBy(answerTo(request)?.headers['keep-alive']?.toString())
    if (limitMs <= 0) {
      // So that the agent does not keep it.
      connection.socket.destroy()
      return
    }
    connection.expiresAt = connection.freeSince + limitMs
    if (connection.expiresAt < this.#timerEnds) this.#closeIdleAt(connection.expiresAt)
  }

  /** A server says the same each time. */
  #limitBy(header: string | undefined): number {
    if (header !== this.#lastHeader) {
      this.#lastHeader = header
      this.#lastLimitMs = idleLimit(header, this.#marginMs)
    }
    return this.#lastLimitMs
  }

  /** The agent is destroyed, and its connections are about to be. */
  abandon(): void {
    for (const sockets of Object.values(this.#parts.sockets)) {
      for (const socket of sockets ?? []) {
        const connection = connectionOf(socket)
        if (connection !== undefined) connection.abandoned = true
      }
    }
  }

  /**
   * A connection is free, after a request or because it is new. Returns the request that is to have it
   * next, unless it is the first on it.
   */
  #freed(connection: Connection, options: http.ClientRequestArgs): http.ClientRequest | undefined {
    const { socket } = connection
    if (!socket.connecting)
      connection.nodeLooks ??= followLooks(socket, () => this.counters.deadBeforeReuse++)
    connection.attempt?.end()
    connection.attempt = undefined
    if (connection.options !== options) {
      connection.options = options
      connection.agentName = undefined
    }
    connection.freeSince = performance.now()
    const request = this.#parts.requests[connection.name]?.[0]
    if (request === undefined) {
      this.#idle(connection)
      return undefined
    }
    if (socket.bytesRead === 0) return undefined
    if (this.#passes(connection, request)) return request
    // The agent makes another one for the request that waits.
    socket.destroy()
    return undefined
  }

  #passes(connection: Connection, request: http.ClientRequest): boolean {
    if (connection.socket.destroyed) return false
    const now = performance.now()
    if (connection.expiresAt <= now) {
      this.counters.expired++
      return false
    }
    if (now - connection.freeSince < FRESH_MS && this.#isRetried(request)) return true
    // One look is enough: the agent's comes right before this, or right after.
    if (connection.nodeLooks ? isWhole(connection.socket) : isUsable(connection.socket)) return true
    this.counters.deadBeforeReuse++
    return false
  }

  #use(connection: Connection, request: http.ClientRequest): void {
    const { bytesRead } = connection.socket
    // A connection may be idle that was never used: its first request was destroyed too early.
    if (request.destroyed || bytesRead === 0) return
    this.counters.reused++
    if (this.#isRetried(request)) connection.attempt = new Attempt(request, bytesRead)
  }

  #isRetried(request: http.ClientRequest): boolean {
    return this.#retries && isIdempotent(request)
  }

  /**
   * Puts a request that was taken back before all others that wait. The agent, which is told next
   * that the connection has closed, makes another one for it.
   */
  #again(request: http.ClientRequest, connection: Connection, error: Error): void {
    if (connection.abandoned || request.destroyed) {
      failWithoutSocket(request, request.destroyed ? undefined : error)
      return
    }
    this.counters.retried++
    ;(this.#parts.requests[connection.name] ??= []).unshift(request)
  }

  /** Node shortens it while a connection is idle, and does not always put it back. */
  #restoreTimeout({ socket }: Connection): void {
    const { timeout = 0 } = this.#parts.options
    if ((socket.timeout ?? 0) !== timeout) socket.setTimeout(timeout)
  }

  #closeIdleAt(time: number): void {
    clearTimeout(this.#timer)
    this.#timerEnds = time
    const ms = Math.min(time - performance.now(), MAX_DELAY_MS)
    this.#timer = setTimeout(() => {
      this.#closeIdle()
    }, ms).unref()
  }

  /** Closes the idle connections whose time has come. */
  #closeIdle(): void {
    this.#timerEnds = Infinity
    const now = performance.now()
    let next = Infinity
    for (const socket of Object.values(this.#parts.freeSockets).flatMap((idle) => idle ?? [])) {
      const expiresAt = connectionOf(socket)?.expiresAt ?? Infinity
      if (expiresAt > now) {
        next = Math.min(next, expiresAt)
      } else if (!socket.destroyed) {
        this.counters.expired++
        socket.destroy()
      }
    }
    if (next !== Infinity) this.#closeIdleAt(next)
  }
}
