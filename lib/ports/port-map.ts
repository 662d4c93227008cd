/** A map of the ports of a range for one destination. */
import type { SocketRecords } from '../kernel/sock-diag'
import { tcpStates, type TcpState } from '../kernel/tcp-states'
import { sizeOf, type PortRange } from '../kernel/proc'

const FREE = 0
/** Marks a port that connect(2) skips; no TCP state has this number. */
const CLOSED_OFF = 255
const TIME_WAIT = tcpStates.indexOf('TIME_WAIT')

/** The ports that connect(2) skips for every destination. */
interface PassedOver {
  /** net.ipv4.ip_local_reserved_ports. */
  readonly reserved: readonly PortRange[]
  /** Ports on which a socket listens. */
  readonly listening: readonly number[]
  /** Ports that a program has bound without a connection or listen(2). */
  readonly bound: readonly number[]
}

/** The number of ports that connect(2) can choose, and of those that it skips by reason. */
export interface UsablePorts {
  readonly ports: number
  readonly reserved: number
  readonly listening: number
  readonly bound: number
}

/** The changes between two snapshots of a range. */
export interface Changes {
  /** Ports that were taken in between. */
  readonly taken: number
  /** The increase of ports in use without TIME_WAIT; negative for a decrease. */
  readonly moreLive: number
}

export class PortMap {
  readonly range: PortRange
  readonly #states: Uint8Array
  /** Milliseconds until TIME_WAIT ends. */
  readonly #remaining: Uint32Array

  constructor(range: PortRange) {
    this.range = range
    this.#states = new Uint8Array(sizeOf(range))
    this.#remaining = new Uint32Array(sizeOf(range))
  }

  /** Enters sockets that are grouped by local port and state. */
  enter(records: SocketRecords): void {
    for (let index = 0; index < records.length; index++) {
      const state = records.stateNumber(index)
      const at = records.localPort(index) - this.range.min
      if (at < 0 || at >= this.#states.length) continue
      this.set(at, state, state === TIME_WAIT ? (records.firstTimerMs(index) ?? 0) : 0)
    }
  }

  /** @param at the index of the port in the range */
  set(at: number, state: number, remainingMs: number): void {
    this.#states[at] = state
    this.#remaining[at] = remainingMs
  }

  /** Marks the ports that connect(2) skips, even those with a socket. Counts each port once. */
  passOver({ reserved, listening, bound }: PassedOver): UsablePorts {
    const counts = {
      reserved: reserved.reduce((sum, range) => sum + this.#closeOff(range), 0),
      listening: listening.reduce((sum, port) => sum + this.#closeOff({ min: port, max: port }), 0),
      bound: bound.reduce((sum, port) => sum + this.#closeOff({ min: port, max: port }), 0),
    }
    const closed = counts.reserved + counts.listening + counts.bound
    return { ports: sizeOf(this.range) - closed, ...counts }
  }

  /** Marks a range. @returns the number of newly marked ports */
  #closeOff({ min, max }: PortRange): number {
    let closed = 0
    const last = Math.min(max, this.range.max)
    for (let port = Math.max(min, this.range.min); port <= last; port++) {
      if (this.#states[port - this.range.min] === CLOSED_OFF) continue
      this.#states[port - this.range.min] = CLOSED_OFF
      closed++
    }
    return closed
  }

  byState(): Partial<Record<TcpState, number>> {
    const totals = new Uint32Array(CLOSED_OFF + 1)
    for (const state of this.#states) totals[state] = (totals[state] ?? 0) + 1
    const counts: Partial<Record<TcpState, number>> = {}
    for (const [number, state] of tcpStates.entries()) {
      const total = totals[number] ?? 0
      if (state !== undefined && total > 0) counts[state] = total
    }
    return counts
  }

  /** The free ports of each parity; `first` has the parity of the lower end of the range. */
  free(): readonly [first: number, second: number] {
    const free: [number, number] = [0, 0]
    for (let at = 0; at < this.#states.length; at++) {
      if (this.#states[at] === FREE) free[(at & 1) as 0 | 1]++
    }
    return free
  }

  /** The ports of each parity whose TIME_WAIT ends within `ms`. */
  endingWithin(ms: number): readonly [first: number, second: number] {
    const ending: [number, number] = [0, 0]
    for (let at = 0; at < this.#states.length; at++) {
      if (this.#states[at] === TIME_WAIT && (this.#remaining[at] ?? 0) <= ms)
        ending[(at & 1) as 0 | 1]++
    }
    return ending
  }

  /** For each second, starting `earlierMs` from now, the ports whose TIME_WAIT ends in it. */
  endings(seconds: number, earlierMs: number): Uint32Array {
    const endings = new Uint32Array(seconds)
    for (let at = 0; at < this.#states.length; at++) {
      if (this.#states[at] !== TIME_WAIT) continue
      const second = Math.floor(((this.#remaining[at] ?? 0) - earlierMs) / 1000)
      if (second >= 0 && second < seconds) endings[second] = (endings[second] ?? 0) + 1
    }
    return endings
  }

  /** @param earlier the map of the same range, `elapsedMs` ago */
  changesSince(earlier: PortMap, elapsedMs: number): Changes {
    let taken = 0
    let moreLive = 0
    for (let at = 0; at < this.#states.length; at++) {
      const state = this.#states[at] ?? FREE
      const before = earlier.#states[at] ?? FREE
      if (state === FREE && before === FREE) continue
      const isLive = isInUse(state) && state !== TIME_WAIT
      const wasLive = isInUse(before) && before !== TIME_WAIT
      moreLive += Number(isLive) - Number(wasLive)
      if (!isInUse(state)) continue
      if (!isInUse(before) || (before === TIME_WAIT && isLive)) taken++
      else if (before === TIME_WAIT && this.#startedAnew(earlier, at, elapsedMs)) taken++
    }
    return { taken, moreLive }
  }

  /** For a port in TIME_WAIT then and now: whether it now belongs to another connection. */
  #startedAnew(earlier: PortMap, at: number, elapsedMs: number): boolean {
    const expected = (earlier.#remaining[at] ?? 0) - elapsedMs
    return (this.#remaining[at] ?? 0) > expected + TIMER_SLACK_MS
  }
}

/** The tolerance for timers, which the kernel reads one after another. */
const TIMER_SLACK_MS = 500

function isInUse(state: number): boolean {
  return state !== FREE && state !== CLOSED_OFF
}
