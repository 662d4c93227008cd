/**
 * The state of a pool's source addresses for each destination: open connections, TIME_WAIT entries of closed
 * ones, addresses for which the kernel found no free port, and addresses whose connections failed.
 */
import { TIME_WAIT_S } from '../kernel/proc'

/** The time for which an address without a free port is skipped in favour of others. */
const FULL_FOR_MS = 250
/** The time for which an address whose connection failed is tried after all others. */
const FAILED_FOR_MS = 250

/** The state of all addresses for one destination. */
class Ledger {
  readonly open: Int32Array
  readonly timeWait: Int32Array
  readonly fullUntil: Float64Array
  readonly failedUntil: Float64Array
  /** A ring of the TIME_WAIT entries, by the second in which they end. */
  readonly #ends: Int32Array[]
  #second: number

  constructor(size: number, second: number) {
    this.open = new Int32Array(size)
    this.timeWait = new Int32Array(size)
    this.fullUntil = new Float64Array(size)
    this.failedUntil = new Float64Array(size)
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
    if (!timeWait) {
      // The address has a free port now.
      this.fullUntil[index] = 0
      return
    }
    this.#add(this.timeWait, index, 1)
    this.#add(this.#bucket(this.#second + TIME_WAIT_S), index, 1)
  }

  load(index: number): number {
    return (this.open[index] ?? 0) + (this.timeWait[index] ?? 0)
  }

  /** Whether a new ledger would be the same. */
  isEmpty(nowMs: number): boolean {
    return (
      this.open.every((count) => count === 0) &&
      this.timeWait.every((count) => count === 0) &&
      this.fullUntil.every((until) => until <= nowMs) &&
      this.failedUntil.every((until) => until <= nowMs)
    )
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

/** The use of a source address by one connection. */
export interface Lease {
  /** Reports the end of the connection; `timeWait` if this side keeps TIME_WAIT. Further calls do nothing. */
  release(timeWait: boolean): void
  /** Reports that the connection could not be made. */
  failed(): void
}

/** The search of one connect() for an address with a free port. */
export interface Search {
  /** Returns the next address to try, the one with the fewest ports in use; undefined if all were tried. */
  next(): string | undefined
  /** Reports that the last address of next() had no free port. */
  full(): void
  /** Reports that no connection could be made from the last address of next(). */
  failed(): void
  /** Reports that the last address of next() had a free port. */
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
      failed: () => {
        this.#fail(ledger, current)
      },
      taken: () => this.#lease(destination, ledger, current),
    }
  }

  /** Returns the open connections and TIME_WAIT entries of each address for a destination. */
  counts(destination: string): { open: number; timeWait: number }[] {
    const ledger = this.#ledgers.get(destination)
    ledger?.advance(this.#second())
    return this.#addresses.map((_, index) => ({
      open: ledger?.open[index] ?? 0,
      timeWait: ledger?.timeWait[index] ?? 0,
    }))
  }

  /** Without open connections, the address would be the first one of the next search. */
  #fail({ failedUntil }: Ledger, index: number): void {
    failedUntil[index] = this.#now() + FAILED_FOR_MS
  }

  /**
   * Addresses that failed recently come after the others. Those that were full recently come last, and only the one that
   * has been full for the longest time is tried again: each refusal costs the kernel a search of all ports.
   */
  #best(ledger: Ledger, tried: ReadonlySet<number>): number | undefined {
    const now = this.#now()
    let best: number | undefined
    let failed: number | undefined
    let fullest: number | undefined
    for (let index = 0; index < this.#addresses.length; index++) {
      if (tried.has(index)) continue
      const fullUntil = ledger.fullUntil[index] ?? 0
      const failedUntil = ledger.failedUntil[index] ?? 0
      if (fullUntil > now) {
        if (fullest === undefined || fullUntil < (ledger.fullUntil[fullest] ?? 0)) fullest = index
      } else if (failedUntil > now) {
        if (failed === undefined || failedUntil < (ledger.failedUntil[failed] ?? 0)) failed = index
      } else if (best === undefined || ledger.load(index) < ledger.load(best)) best = index
    }
    return best ?? failed ?? (tried.size === 0 ? fullest : undefined)
  }

  #lease(destination: string, ledger: Ledger, index: number): Lease {
    ledger.opened(index)
    let released = false
    return {
      failed: () => {
        this.#fail(ledger, index)
      },
      release: (timeWait) => {
        if (released) return
        released = true
        ledger.advance(this.#second())
        ledger.closed(index, timeWait)
        if (ledger.isEmpty(this.#now()) && this.#ledgers.get(destination) === ledger)
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

  /** Drops the ledgers of destinations without open connections or TIME_WAIT entries. */
  #sweep(second: number): void {
    for (const [destination, ledger] of this.#ledgers) {
      ledger.advance(second)
      if (ledger.isEmpty(this.#now())) this.#ledgers.delete(destination)
    }
  }

  #second(): number {
    return Math.floor(this.#now() / 1000)
  }
}
