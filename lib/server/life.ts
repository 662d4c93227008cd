/** When each connection of a server is due to end, and how it ended. */
import { noLimits, type ConnectionLimits } from './connection-limits'

/** Why a connection is retired. */
export type RetirementReason = 'age' | 'requests' | 'shutdown'

/**
 * How a connection is retired: by a response with `Connection: close` (`answer`), by GOAWAY (`goaway`), or by a
 * close between requests (`idle`).
 */
export type RetirementWay = 'answer' | 'goaway' | 'idle'

/** One connection. Times are those of performance.now(). */
export interface Life {
  /** Infinity for a connection without a limit. */
  dueAt: number
  dueBy: 'age' | 'shutdown'
  requests: number
  /** How it was retired; undefined if it was not. */
  way: RetirementWay | undefined
}

/** How long a connection must have been silent before it is closed. */
interface SilenceLimits {
  readonly idleMs: number
  /** For a connection without a request so far. Its first request is late only if the client is busy. */
  readonly unusedMs: number
}

/**
 * The shortest time that a response announces in Keep-Alive. Clients close a connection earlier than announced,
 * Node's agents by one second and undici by two: with a shorter time they would not reuse a busy connection.
 */
export const SHORTEST_ANNOUNCED_MS = 3_000
/** One second more than announced, as Node itself keeps connections. */
const ordinary: SilenceLimits = {
  idleMs: SHORTEST_ANNOUNCED_MS + 1_000,
  unusedMs: SHORTEST_ANNOUNCED_MS + 1_000,
}

export class Lives {
  limits: ConnectionLimits = noLimits
  patience = ordinary
  readonly #retired = { age: 0, requests: 0, shutdown: 0 }
  /** Counts only connections that were open when the last shutdown began, or were accepted later. */
  #ways = { answer: 0, goaway: 0, idle: 0 }
  /** The time at which a shutdown has made all connections due. */
  #spreadEnd: number | undefined

  /** A snapshot of the connections retired so far, by reason. */
  get retired(): Record<RetirementReason, number> {
    return { ...this.#retired }
  }

  /** The same by way, only for those that were open when the last shutdown began, or were accepted later. */
  get ways(): Record<RetirementWay, number> {
    return { ...this.#ways }
  }

  get isEnding(): boolean {
    return this.#spreadEnd !== undefined
  }

  /** The life of a new connection. */
  begin(now: number): Life {
    const life: Life = { dueAt: Infinity, dueBy: 'age', requests: 0, way: undefined }
    this.renew(life, now)
    if (this.#spreadEnd !== undefined)
      hasten(life, now + Math.random() * Math.max(0, this.#spreadEnd - now))
    return life
  }

  /** Applies the present limits to a connection, whose age begins now. */
  renew(life: Life, now: number): void {
    const { maxConnectionAgeMs = Infinity, connectionAgeJitterPercent } = this.limits
    if (life.dueBy === 'shutdown') return
    life.dueAt = now + maxConnectionAgeMs * (1 - (Math.random() * connectionAgeJitterPercent) / 100)
  }

  /** Makes all connections due within `overMs`, at an even rate, including those that are accepted later. */
  endAll(lives: readonly Life[], now: number, overMs: number): void {
    this.#spreadEnd = now + overMs
    this.#ways = { answer: 0, goaway: 0, idle: 0 }
    for (const [index, life] of lives.entries()) {
      hasten(life, now + ((index + Math.random()) / lives.length) * overMs)
      if (life.way !== undefined) this.#ways[life.way]++
    }
  }

  /** Ends the shutdown. */
  over(): void {
    this.#spreadEnd = undefined
    this.patience = ordinary
  }

  /** Why a connection must end now; undefined if it may go on. */
  reasonFor(life: Life, now: number): RetirementReason | undefined {
    if (now >= life.dueAt) return life.dueBy
    return life.requests >= (this.limits.maxRequests ?? Infinity) ? 'requests' : undefined
  }

  retire(life: Life, reason: RetirementReason, way: RetirementWay): void {
    life.way = way
    this.#retired[reason]++
    if (this.isEnding) this.#ways[way]++
  }

  /** Takes a retired connection out of the counts by way, because it did not end. */
  outlived(life: Life): void {
    if (life.way !== undefined) this.#ways[life.way]--
  }
}

function hasten(life: Life, at: number): void {
  if (at >= life.dueAt) return
  life.dueAt = at
  life.dueBy = 'shutdown'
}
