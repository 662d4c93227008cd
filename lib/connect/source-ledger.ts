/**
 * What a pool knows of its source addresses, destination by destination: connections that are open,
 * those that left TIME_WAIT behind, and where the kernel said that no port was free.
 */
import { TIME_WAIT_S } from '../kernel/proc'

/** How long an address that had no port free is passed over while another has one. */
const FULL_FOR_MS = 250

/** The state of all addresses towards one destination. */
class Ledger {
  readonly open: Int32Array
  readonly timeWait: Int32Array
  readonly fullUntil: Float64Array
  /** TIME_WAIT entries by the second in which they end, modulo the length of the ring. */
  readonly #ends: Int32Array[]
  #second: number

  constructor(size: number, second: number) {
    this.open = new Int32Array(size)
    this.timeWait = new Int32Array(size)
    this.fullUntil = new Float64Array(size)
    this.#ends = Array.from({ length: TIME_WAIT_S + 1 }, () => new Int32Array(size))
    this.#second = second
  }

  /** Forgets the entries that have ended. */
  advance(second: number): void {
    const steps = Math.min(second - this.#second, this.#ends.length)
    for (let step = 1; step <= steps; step++) {
      const ended = this.#bucket(this.#second + step)
      ended.forEach((count, index) => {
        this.#add(this.timeWait, index, -count)
      })
      ended.fill(0)
    }
    this.#second = Math.max(this.#second, second)
  }

  opened(index: number): void {
    this.#add(this.open, index, 1)
  }

  closed(index: number, timeWait: boolean): void {
    this.#add(this.open, index, -1)
    if (!timeWait) return
    this.#add(this.timeWait, index, 1)
    this.#add(this.#bucket(this.#second + TIME_WAIT_S), index, 1)
  }

  load(index: number): number {
    return (this.open[index] ?? 0) + (this.timeWait[index] ?? 0)
  }

  isEmpty(): boolean {
    return this.open.every((count) => count === 0) && this.timeWait.every((count) => count === 0)
  }

  #bucket(second: number): Int32Array {
    const bucket = this.#ends[second % this.#ends.length]
    if (bucket === undefined) throw new RangeError(`No bucket for second ${String(second)}`)
    return bucket
  }

  #add(counts: Int32Array, index: number, delta: number): void {
    counts[index] = (counts[index] ?? 0) + delta
  }
}

/** A connection that an address was chosen for. */
export interface Lease {
  /** The connection is over; `timeWait` when this side keeps its TIME_WAIT. Counts once. */
  release(timeWait: boolean): void
}

/** One connect(), looking for an address that has a port free. */
export interface Search {
  /** The next address to try: the one with the most room; undefined when all were tried. */
  next(): string | undefined
  /** The address that next() gave had no port free. */
  full(): void
  /** It had one. */
  taken(): Lease
}

export class SourceLedger {
  readonly #addresses: readonly string[]
  readonly #now: () => number
  readonly #ledgers = new Map<string, Ledger>()

  /** @param now milliseconds of a clock that never goes back */
  constructor(addresses: readonly string[], now: () => number = () => performance.now()) {
    this.#addresses = addresses
    this.#now = now
  }

  search(destination: string): Search {
    const ledger = this.#ledgerOf(destination)
    const tried = new Set<number>()
    let current = -1
    return {
      next: () => {
        const index = this.#best(ledger, tried)
        if (index === undefined) return undefined
        current = index
        tried.add(index)
        return this.#addresses[index]
      },
      full: () => {
        ledger.fullUntil[current] = this.#now() + FULL_FOR_MS
      },
      taken: () => this.#lease(destination, ledger, current),
    }
  }

  /** Open connections and TIME_WAIT entries of each address towards a destination. */
  counts(destination: string): { open: number; timeWait: number }[] {
    const ledger = this.#ledgers.get(destination)
    ledger?.advance(this.#second())
    return this.#addresses.map((_, index) => ({
      open: ledger?.open[index] ?? 0,
      timeWait: ledger?.timeWait[index] ?? 0,
    }))
  }

  /**
   * Addresses that were full a moment ago come last, and of them only the first to be full is asked
   * again: each refusal costs the kernel a search of all ports.
   */
  #best(ledger: Ledger, tried: ReadonlySet<number>): number | undefined {
    const now = this.#now()
    let best: number | undefined
    let fullest: number | undefined
    for (let index = 0; index < this.#addresses.length; index++) {
      if (tried.has(index)) continue
      const until = ledger.fullUntil[index] ?? 0
      if (until > now) {
        if (fullest === undefined || until < (ledger.fullUntil[fullest] ?? 0)) fullest = index
      } else if (best === undefined || ledger.load(index) < ledger.load(best)) best = index
    }
    return best ?? (tried.size === 0 ? fullest : undefined)
  }

  #lease(destination: string, ledger: Ledger, index: number): Lease {
    ledger.opened(index)
    let released = false
    return {
      release: (timeWait) => {
        if (released) return
        released = true
        ledger.advance(this.#second())
        ledger.closed(index, timeWait)
        if (ledger.isEmpty() && this.#ledgers.get(destination) === ledger)
          this.#ledgers.delete(destination)
      },
    }
  }

  #ledgerOf(destination: string): Ledger {
    const second = this.#second()
    let ledger = this.#ledgers.get(destination)
    if (ledger === undefined) {
      this.#sweep(second)
      ledger = new Ledger(this.#addresses.length, second)
      this.#ledgers.set(destination, ledger)
    }
    ledger.advance(second)
    return ledger
  }

  /** A new destination is the moment to forget those that have nothing left. */
  #sweep(second: number): void {
    for (const [destination, ledger] of this.#ledgers) {
      ledger.advance(second)
      if (ledger.isEmpty()) this.#ledgers.delete(destination)
    }
  }

  #second(): number {
    return Math.floor(this.#now() / 1000)
  }
}
