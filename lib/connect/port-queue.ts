/**
 * Queues of connections that wait for a free port, first come, first served.
 *
 * To find that no port is free, the kernel searches all of them: 3 ms for 28,232 ports, during which the event loop
 * stands still. So only the first connection of a queue tries, and the pause after a search is 20 times as long as
 * the search.
 */

/** A connection that waits. */
export interface Waiter {
  /** Tries to connect. Returns false if no port is free. */
  readonly tryAgain: () => boolean
  /** Fails the connection after `portWaitMs`. */
  readonly expire: () => void
  /** Called when the connection leaves the queue, for whatever reason. */
  readonly ended: () => void
}

/** Connections that found no port and had a `portWaitMs`, by how their wait ended. */
export interface PortWaitTotals {
  /** Connections that are waiting now. */
  readonly waiting: number
  /** Connections that got a port, or that failed for another reason than the lack of one. */
  readonly served: number
  /** Connections that failed after `portWaitMs`. */
  readonly expired: number
  /** Connections that were destroyed while they waited. */
  readonly abandoned: number
}

const totals = { waiting: 0, served: 0, expired: 0, abandoned: 0 }

/** Returns a snapshot of the counts of this thread. */
export function portWaitTotals(): PortWaitTotals {
  return { ...totals }
}

/** The pause between tries. It doubles until a connection of this thread ends. */
const SHORTEST_PAUSE_MS = 5
const LONGEST_PAUSE_MS = 250
/** Searches take at most one twentieth of the event loop's time. */
const SHARE = 20
/** Yields to the event loop after serving connections for this long. */
const TURN_MS = 1
/** The time of a connect() that finds a port at once. What exceeds it was spent on searching. */
const CONNECT_MS = 0.1

export class PortQueue {
  /** The waiting connections in their order, with the timers of their deadlines. */
  readonly #waiting = new Map<Waiter, NodeJS.Timeout>()
  readonly #emptied: () => void
  readonly #now: () => number
  #timer: NodeJS.Timeout | undefined
  #pauseMs = SHORTEST_PAUSE_MS
  /** When the next try is due, and the earliest moment for it. */
  #due = Infinity
  #notBefore = -Infinity

  /** @param now milliseconds of a clock that never goes back */
  constructor(emptied: () => void, now: () => number = () => performance.now()) {
    this.#emptied = emptied
    this.#now = now
  }

  add(waiter: Waiter, waitMs: number): void {
    const deadline = setTimeout(() => {
      this.#end(waiter, 'expired')
      waiter.expire()
    }, waitMs)
    totals.waiting++
    this.#waiting.set(waiter, deadline)
    if (this.#timer === undefined) this.#schedule(this.#pauseMs)
  }

  /** Removes a connection that was destroyed. */
  abandon(waiter: Waiter): void {
    this.#end(waiter, 'abandoned')
  }

  /** Called when a connection of this thread has ended: its port may be free. */
  released(): void {
    this.#pauseMs = SHORTEST_PAUSE_MS
    if (this.#due > this.#now() + SHORTEST_PAUSE_MS) this.#schedule(SHORTEST_PAUSE_MS)
  }

  readonly #turn = (): void => {
    const begun = this.#now()
    let served = 0
    let found = true
    let now = begun
    for (const waiter of this.#waiting.keys()) {
      found = waiter.tryAgain()
      now = this.#now()
      if (!found) break
      served++
      this.#end(waiter, 'served')
      if (now - begun >= TURN_MS) break
    }
    const searchMs = Math.max(0, now - begun - served * CONNECT_MS)
    this.#notBefore = now + Math.min(SHARE * searchMs, LONGEST_PAUSE_MS)
    this.#pauseMs = found ? SHORTEST_PAUSE_MS : Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS)
    this.#schedule(found ? 0 : this.#pauseMs)
  }

  /** Schedules the next try, later than `inMs` if searches would take too much time. */
  #schedule(inMs: number): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#due = Infinity
    if (this.#waiting.size === 0) return
    const now = this.#now()
    this.#due = Math.max(now + inMs, this.#notBefore)
    this.#timer = setTimeout(this.#turn, this.#due - now)
  }

  #end(waiter: Waiter, how: 'served' | 'expired' | 'abandoned'): void {
    const deadline = this.#waiting.get(waiter)
    if (deadline === undefined) return
    this.#waiting.delete(waiter)
    clearTimeout(deadline)
    totals.waiting--
    totals[how]++
    waiter.ended()
    if (this.#waiting.size > 0) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#emptied()
  }
}

/** The queues of this thread by their keys. A queue exists only while connections wait in it. */
const queues = new Map<string, PortQueue>()

/** Returns the queue with this key, if connections wait in it. */
export function portQueueFor(key: string): PortQueue | undefined {
  return queues.get(key)
}

/** Returns the queue with this key, or a new one. */
export function openPortQueue(key: string): PortQueue {
  const known = queues.get(key)
  if (known !== undefined) return known
  const queue = new PortQueue(() => {
    queues.delete(key)
  })
  queues.set(key, queue)
  return queue
}
