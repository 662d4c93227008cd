/**
 * The rules of `minIdle`, the same for all clients: when connections are opened before a request needs one, and when
 * no more are opened because the server refuses them.
 */
import { AsyncResource } from 'node:async_hooks'
import type * as net from 'node:net'
import { SocketTunerError } from '../../errors'
import { announce } from '../../warnings'
import type { ReuseCounters } from './reuse'

/** An idle connection is replaced this long before it expires, ms. */
export const LEAD_MS = 500

/** A server that ends idle connections sooner is treated as one that refuses them, ms. */
const LEAST_LIFE_MS = 1000

/** A connection that takes longer to open counts as failed, ms. */
export const OPENED_WITHIN_MS = 10_000

/** An origin that was not passed to warm() is dropped after this time without a request, ms. */
const FORGOTTEN_AFTER_MS = 60_000

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 30_000

/** The number of failures in a row after which a warning is emitted. */
const WARNED_AT = 3

/** The connections of a client, by the name of their origin. */
export interface IdleConnections<Destination> {
  /** Counts the connections that can be used for at least {@link LEAD_MS}. */
  idle(name: string): number
  /** The number of further connections that the client's limits allow. @param opening those being opened for `minIdle` */
  room(name: string, opening: number): number
  /**
   * Opens a connection.
   *
   * @param done called once, when the connection is idle or has a request, or with the error
   */
  open(name: string, destination: Destination, done: (error?: Error) => void): void
}

interface Warming {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

interface Origin<Destination> {
  readonly destination: Destination
  /** It was passed to warm(). */
  isKept: boolean
  /** When its last request began, by `performance.now()`. */
  requestedAt: number
  opening: number
  /** Failures in a row. */
  failures: number
  /** Runs while nothing is opened, or while the connection after a failure proves itself. */
  timer: NodeJS.Timeout | undefined
  isBackingOff: boolean
  isDue: boolean
  /** The time for which its server keeps an idle connection, ms; Infinity if it is not known. */
  limitMs: number
  readonly waiting: Warming[]
}

/** Keeps a minimum of idle connections for each origin. */
export class MinIdle<Destination> {
  readonly #count: number
  readonly #connections: IdleConnections<Destination>
  readonly #counters: ReuseCounters
  readonly #origins = new Map<string, Origin<Destination>>()
  /** Connections do not belong to the request that happened to come before them. */
  readonly #context = new AsyncResource('socket-tuner:minIdle')
  /** Set by {@link stop} until the next warm(). */
  #isStopped = false

  constructor(count: number, connections: IdleConnections<Destination>, counters: ReuseCounters) {
    this.#count = count
    this.#connections = connections
    this.#counters = counters
  }

  /** A request needs a connection of the origin. */
  requested(name: string, destination: () => Destination): void {
    if (this.#isStopped) return
    this.#originOf(name, destination).requestedAt = performance.now()
    this.check(name)
  }

  /**
   * Opens the connections now, and keeps them until {@link stop}.
   *
   * @returns settles when they are idle, or at the first failure
   */
  warm(name: string, destination: () => Destination): Promise<void> {
    this.#isStopped = false
    const origin = this.#originOf(name, destination)
    origin.isKept = true
    const warmed = new Promise<void>((resolve, reject) => {
      origin.waiting.push({ resolve, reject })
    })
    // A caller may ignore the promise, and rely on the warning.
    warmed.catch(() => undefined)
    this.check(name)
    return warmed
  }

  /** Opens what is missing, in the next turn of the event loop: a burst of requests is served first. */
  check(name: string): void {
    const origin = this.#origins.get(name)
    if (origin === undefined || origin.isDue) return
    origin.isDue = true
    this.#context.runInAsyncScope(() => {
      const immediate = setImmediate(() => {
        origin.isDue = false
        this.#fill(name, origin)
      })
      // A caller may wait for the promise of warm().
      if (origin.waiting.length === 0) immediate.unref()
    })
  }

  /** The server has announced how long it keeps idle connections, ms. */
  limit(name: string, limitMs: number): void {
    const origin = this.#origins.get(name)
    if (origin !== undefined) origin.limitMs = limitMs
  }

  /** How long a connection of the origin may be idle, ms. */
  limitOf(name: string): number {
    return this.#origins.get(name)?.limitMs ?? Infinity
  }

  /** A request has its answer: the server is there. */
  answered(name: string): void {
    const origin = this.#origins.get(name)
    if (origin?.isBackingOff === true) this.#recovered(name, origin)
  }

  /** A connection has ended unused. @param idleMs how long it was idle */
  lost(name: string, idleMs: number): void {
    this.#counters.warmedLost++
    const origin = this.#origins.get(name)
    if (origin === undefined) return
    if (idleMs >= LEAST_LIFE_MS) this.check(name)
    else this.#failed(name, origin, closedAtOnce(name))
  }

  /** Checks all origins, some of whose connections may be about to expire. */
  checkAll(): void {
    for (const name of this.#origins.keys()) this.check(name)
  }

  /** Opens no more connections until the next warm(). */
  stop(): void {
    this.#isStopped = true
    const origins = [...this.#origins.values()]
    this.#origins.clear()
    for (const origin of origins) {
      clearTimeout(origin.timer)
      settle(origin, stopped())
    }
  }

  #originOf(name: string, destination: () => Destination): Origin<Destination> {
    let origin = this.#origins.get(name)
    if (origin === undefined) {
      origin = {
        destination: destination(),
        isKept: false,
        requestedAt: -Infinity,
        opening: 0,
        failures: 0,
        timer: undefined,
        isBackingOff: false,
        isDue: false,
        limitMs: Infinity,
        waiting: [],
      }
      this.#origins.set(name, origin)
    }
    return origin
  }

  #fill(name: string, origin: Origin<Destination>): void {
    if (this.#origins.get(name) !== origin || origin.isBackingOff) return
    if (!origin.isKept && performance.now() - origin.requestedAt >= FORGOTTEN_AFTER_MS) {
      clearTimeout(origin.timer)
      this.#origins.delete(name)
      return
    }
    const most = origin.limitMs < LEAST_LIFE_MS ? 0 : this.#connections.room(name, origin.opening)
    const missing = this.#count - this.#connections.idle(name) - origin.opening
    // After a failure, one connection tries whether the server is back.
    const atOnce = origin.failures > 0 ? 1 - origin.opening : Infinity
    const wanted = Math.min(missing, most, atOnce)
    for (let i = 0; i < wanted; i++) this.#open(name, origin)
    if (origin.opening === 0 && (missing <= 0 || most <= 0)) settle(origin)
  }

  #open(name: string, origin: Origin<Destination>): void {
    origin.opening++
    this.#connections.open(name, origin.destination, (error) => {
      origin.opening--
      if (this.#origins.get(name) !== origin) return
      if (error !== undefined) {
        this.#failed(name, origin, error)
        return
      }
      this.#counters.warmed++
      if (origin.failures === 0) this.check(name)
      else if (!origin.isBackingOff) this.#prove(name, origin)
    })
  }

  /** Opens the others once a connection has lasted. */
  #prove(name: string, origin: Origin<Destination>): void {
    this.#after(origin, LEAST_LIFE_MS, () => {
      this.#recovered(name, origin)
    })
  }

  #recovered(name: string, origin: Origin<Destination>): void {
    clearTimeout(origin.timer)
    origin.timer = undefined
    origin.failures = 0
    origin.isBackingOff = false
    this.check(name)
  }

  #failed(name: string, origin: Origin<Destination>, error: Error): void {
    this.#counters.warmFailed++
    settle(origin, error)
    // One failure stands for all connections that were opened at the same time.
    if (origin.isBackingOff) return
    origin.isBackingOff = true
    origin.failures++
    if (origin.failures === WARNED_AT) this.#warn(name, error)
    // Random, since many processes may wait for the same server.
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** (origin.failures - 1), LONGEST_PAUSE_MS)
    this.#after(origin, pauseMs * (0.5 + Math.random() / 2), () => {
      origin.isBackingOff = false
      this.check(name)
    })
  }

  #after(origin: Origin<Destination>, ms: number, action: () => void): void {
    clearTimeout(origin.timer)
    this.#context.runInAsyncScope(() => {
      origin.timer = setTimeout(() => {
        origin.timer = undefined
        action()
      }, ms).unref()
    })
  }

  #warn(name: string, error: Error): void {
    const { code = error.name } = error as NodeJS.ErrnoException
    announce(
      'SOCKET_TUNER_MIN_IDLE_FAILING',
      code,
      `minIdle: ${String(WARNED_AT)} attempts in a row to keep a connection ready for ${name} failed, the last one with: ${error.message}`,
    )
  }
}

function settle({ waiting }: Origin<unknown>, error?: Error): void {
  for (const { resolve, reject } of waiting.splice(0)) {
    if (error === undefined) resolve()
    else reject(error)
  }
}

function closedAtOnce(name: string): Error {
  return Object.assign(
    new Error(`The idle connection to ${name} was closed within ${String(LEAST_LIFE_MS)} ms`),
    { code: 'ECONNRESET' },
  )
}

function stopped(): SocketTunerError {
  return new SocketTunerError('The connections were given up before they were ready', {
    code: 'ERR_SOCKET_TUNER_DESTROYED',
  })
}

/** Closes an unused connection on which data arrives: a server that sends before the first request gives it up. */
export function closeUnused(this: net.Socket): void {
  this.destroy()
}
