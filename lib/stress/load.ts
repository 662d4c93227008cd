/** Keeps the connections of a run busy: in a closed loop with themselves, in an open loop with the arrivals. */
import type { Arrivals } from './arrivals'
import { Connection, type Circumstances, type ConnectionOwner } from './connection'
import type { Pace } from './pace'
import { errorCodeOf } from './recorder'

export interface LoadPlan {
  /** The most connections at a time. */
  readonly connections: number
  /** Undefined in a closed loop. */
  readonly arrivals: Arrivals | undefined
  /** Undefined if connections are opened as soon as they are needed. */
  readonly pace: Pace | undefined
}

/** What happens in a load. */
export interface LoadObserver {
  /** A request is about to begin, or is due. @returns whether the run is to have it */
  begun(intendedMs: number): boolean
  /** A request of the open loop was due this long before it was noticed, ms. */
  late(intendedMs: number, lagMs: number): void
}

/** A slot whose connections fail waits before it tries again: at first this long, then twice as long, up to the most. */
const FIRST_PAUSE_MS = 10
const LONGEST_PAUSE_MS = 1_000
/** Connections that are opened in one turn of the event loop at the start. */
const AT_ONCE = 64
/** A timer of Node may fire this much late: the rest of the time is spent in turns of the event loop. */
const TIMER_MS = 2
/** Longer timers would overflow. */
const LONGEST_TIMER_MS = 60_000
/** Entries of the queue that were taken before it is copied. */
const COMPACT = 4_096
const MOST_DOUBLINGS = 10
/** Requests that are begun in one turn, when many are due. */
const MOST_IN_TURN = 1_000
/** Deadlines are checked this often, relative to the timeout. */
const CHECKS = 20
const SHORTEST_CHECK_MS = 5
const LONGEST_CHECK_MS = 250

export class Load implements ConnectionOwner {
  readonly #with: Circumstances
  readonly #plan: LoadPlan
  readonly #observer: LoadObserver
  readonly #all = new Set<Connection>()
  readonly #idle = new Set<Connection>()
  /** Intended starts of requests that have no connection yet. Those of a closed loop wait for the pace. */
  #queue: number[] = []
  #queueAt = 0
  /** Requests that are under way. */
  #pending = 0
  #mostOpen = 0
  #closed = 0
  #isStopped = false
  #isAborted = false
  #failuresInRow = 0
  #arrivalTimer: NodeJS.Timeout | undefined
  #arrivalTurn: NodeJS.Immediate | undefined
  #paceTimer: NodeJS.Timeout | undefined
  readonly #checks: NodeJS.Timeout
  readonly #timers = new Set<NodeJS.Timeout>()
  #whenIdle: (() => void) | undefined
  #whenEnded: (() => void) | undefined

  constructor(circumstances: Circumstances, plan: LoadPlan, observer: LoadObserver) {
    this.#with = circumstances
    this.#plan = plan
    this.#observer = observer
    const every = Math.ceil(circumstances.timeoutMs / CHECKS)
    this.#checks = setInterval(
      () => {
        const now = performance.now()
        for (const connection of this.#all) connection.checkDeadline(now)
      },
      Math.min(LONGEST_CHECK_MS, Math.max(SHORTEST_CHECK_MS, every)),
    )
  }

  /** Connections that exist. */
  get open(): number {
    return this.#all.size
  }

  get mostOpen(): number {
    return this.#mostOpen
  }

  /** Connections that existed. */
  get closedSoFar(): number {
    return this.#closed
  }

  /** Requests that wait for a connection. */
  get waiting(): number {
    return this.#queue.length - this.#queueAt
  }

  start(): void {
    if (this.#plan.arrivals === undefined) this.#fill(this.#plan.connections)
    else this.#arrive()
  }

  /** Begins no more requests but those that are due already. */
  stop(): void {
    if (!this.#isAborted) this.#take(Infinity)
    this.#isStopped = true
    clearTimeout(this.#arrivalTimer)
    clearImmediate(this.#arrivalTurn)
    // A closed loop has not begun what waits.
    if (this.#plan.arrivals === undefined) this.dropWaiting()
    this.#checkIdle()
  }

  /** Resolves when no request is under way and none waits. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#whenIdle = resolve
      this.#checkIdle()
    })
  }

  /** Gives up the requests that wait. @returns their number */
  dropWaiting(): number {
    const { waiting } = this
    this.#queue = []
    this.#queueAt = 0
    this.#checkIdle()
    return waiting
  }

  /** Closes all idle connections, and resolves when all connections are closed. */
  ended(): Promise<void> {
    clearTimeout(this.#paceTimer)
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
    for (const connection of [...this.#idle]) connection.close()
    return new Promise((resolve) => {
      this.#whenEnded = resolve
      this.#checkEnded()
    })
  }

  /** Ends all connections at once. */
  abort(): void {
    this.#isAborted = true
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
    this.stop()
    for (const connection of [...this.#all]) connection.abort()
  }

  ready(connection: Connection): void {
    const intended = this.#next()
    if (intended !== undefined) {
      this.#pending++
      connection.send(intended)
      return
    }
    this.#idle.add(connection)
    if (this.#isStopped) connection.close()
  }

  settled(): void {
    this.#pending--
    this.#checkIdle()
  }

  unavailable(connection: Connection): void {
    this.#idle.delete(connection)
  }

  closed(connection: Connection, hasFailed: boolean): void {
    this.#all.delete(connection)
    this.#closed++
    this.#failuresInRow = hasFailed ? this.#failuresInRow + 1 : 0
    if (!hasFailed) this.#open()
    else if (this.#plan.arrivals === undefined || this.waiting > 0) this.#pause()
    this.#checkEnded()
  }

  /** The intended start of the next request; undefined if there is none now. */
  #next(): number | undefined {
    if (this.#plan.arrivals !== undefined) return this.#shift()
    const now = performance.now()
    return !this.#isStopped && this.#observer.begun(now) ? now : undefined
  }

  #shift(): number | undefined {
    const intended = this.#queue[this.#queueAt]
    if (intended === undefined) return undefined
    this.#queueAt++
    if (this.#queueAt > COMPACT && this.#queueAt * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#queueAt)
      this.#queueAt = 0
    }
    return intended
  }

  /** Opens a connection for the next request, at once or in its turn. @returns whether the run wants more of them */
  #open(): boolean {
    if (this.#isAborted || this.#all.size >= this.#plan.connections) return false
    if (this.#plan.pace !== undefined) {
      if (this.#plan.arrivals === undefined && !this.#isStopped) this.#queue.push(performance.now())
      this.#openInTurn(this.#plan.pace)
      return true
    }
    const intended = this.#next()
    // A slot whose connection could not be attempted tries again by itself.
    if (intended !== undefined) this.#openFor(intended)
    return intended !== undefined
  }

  /** Opens connections for the requests that wait, as many as the pace allows. */
  #openInTurn(pace: Pace): void {
    while (this.waiting > 0 && !this.#isAborted && this.#all.size < this.#plan.connections) {
      const now = performance.now()
      if (!pace.take(now)) {
        this.#paceTimer ??= setTimeout(
          () => {
            this.#paceTimer = undefined
            this.#openInTurn(pace)
          },
          Math.min(LONGEST_TIMER_MS, pace.nextMs - now),
        )
        break
      }
      const intended = this.#shift()
      if (intended === undefined) break
      if (this.#plan.arrivals === undefined && !this.#observer.begun(intended)) {
        this.dropWaiting()
        break
      }
      // After a failure, the next attempt is made after a pause.
      if (!this.#openFor(intended)) break
    }
  }

  /** Opens a connection for a request that has begun. @returns whether it could be attempted */
  #openFor(intended: number): boolean {
    this.#pending++
    let connection: Connection
    try {
      connection = new Connection(this.#with, this, intended)
    } catch (error) {
      this.#refused(intended, error as NodeJS.ErrnoException)
      return false
    }
    this.#all.add(connection)
    this.#mostOpen = Math.max(this.#mostOpen, this.#all.size)
    return true
  }

  /** No connection could even be attempted. */
  #refused(intended: number, error: NodeJS.ErrnoException): void {
    const { recorder } = this.#with
    recorder.error(intended, errorCodeOf(error), 'connect', error.message)
    recorder.failure(intended)
    if (recorder.counts(intended)) recorder.failedConnections++
    this.#failuresInRow++
    this.#pause()
    this.settled()
  }

  /** A slot tries again later: without a pause, failed connections would fill the event loop. */
  #pause(): void {
    if (this.#isAborted) return
    const doublings = Math.min(MOST_DOUBLINGS, this.#failuresInRow / this.#plan.connections)
    const ms = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.floor(doublings))
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      this.#open()
    }, ms)
    this.#timers.add(timer)
  }

  /** Opens the first connections of a closed loop, some in each turn of the event loop. */
  #fill(count: number): void {
    const { pace } = this.#plan
    if (pace !== undefined) {
      this.#queue = Array<number>(count).fill(performance.now())
      this.#openInTurn(pace)
      return
    }
    for (let i = 0; i < Math.min(AT_ONCE, count); i++) if (!this.#open()) return
    if (count > AT_ONCE)
      setImmediate(() => {
        if (!this.#isStopped) this.#fill(count - AT_ONCE)
      })
  }

  /** Begins the requests that are due, and waits for the next one. */
  #arrive(): void {
    const { arrivals } = this.#plan
    if (arrivals === undefined || this.#isStopped || !this.#take(MOST_IN_TURN)) return
    const pause = arrivals.nextMs - performance.now()
    if (pause > TIMER_MS)
      this.#arrivalTimer = setTimeout(
        () => {
          this.#arrive()
        },
        Math.min(LONGEST_TIMER_MS, pause - TIMER_MS),
      )
    else
      this.#arrivalTurn = setImmediate(() => {
        this.#arrive()
      })
  }

  /** Begins requests that are due. @returns whether the run wants more of them */
  #take(most: number): boolean {
    const { arrivals } = this.#plan
    if (arrivals === undefined || this.#isStopped) return false
    for (let i = 0; i < most; i++) {
      const now = performance.now()
      const { nextMs } = arrivals
      if (nextMs > now) break
      if (!this.#observer.begun(nextMs)) return false
      this.#observer.late(nextMs, now - nextMs)
      this.#dispatch(arrivals.take())
    }
    return true
  }

  #dispatch(intended: number): void {
    this.#queue.push(intended)
    const [idle] = this.#idle
    if (idle === undefined) {
      this.#open()
      return
    }
    this.#idle.delete(idle)
    this.ready(idle)
  }

  #checkIdle(): void {
    if (this.#pending > 0 || (this.waiting > 0 && !this.#isAborted)) return
    this.#whenIdle?.()
    this.#whenIdle = undefined
  }

  #checkEnded(): void {
    if (this.#all.size > 0 || this.#whenEnded === undefined) return
    clearInterval(this.#checks)
    this.#whenEnded()
    this.#whenEnded = undefined
  }
}
