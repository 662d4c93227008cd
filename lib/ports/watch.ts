import { channel } from 'node:diagnostics_channel'
import { ConnectMeter } from '../observe/connect-cost'
import { DestinationWatch, type PortReport } from './destination-watch'
import { Feed } from './feed'
import { checkWatch, type CheckedWatch, type WatchPortsOptions } from './watch-options'

/** A running watch: `for await` gives a report for each destination at each look. */
export interface PortWatch extends AsyncIterable<PortReport>, Disposable {
  /** The last look, one report for each destination; empty before the first. */
  readonly latest: readonly PortReport[]
  /** Ends the watch and every loop over it. May be called twice. */
  stop(): void
}

/** What of a look can be measured may take this share of a core; all of it is some 2.4 times that. */
const MOST_OF_A_CORE = 0.004
/** What a look costs is the least of so many: the others were held up. */
const COSTS_KEPT = 5
/** A look fails for want of these and the next one may not. */
const passing: readonly unknown[] = ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EAGAIN', 'EINTR']

const reports = channel('socket-tuner:ports')

/**
 * Watches the ports towards destinations: how many are left, how fast they go, when they are used up,
 * and what connect() costs in this thread, which is the only sign that a program gets of its own.
 *
 * Begins at once. Reports are published on the diagnostics channel `socket-tuner:ports` and come out
 * of `for await`, which gets the newest ones where it is slow. A destination that runs short is warned
 * of as SOCKET_TUNER_PORTS_LOW (see `warnAt`). Ends by stop(), by its signal, and when the last loop
 * over it is left. Holds no process open, and takes less than 1 % of a
 * core: where the kernel has very many sockets the looks become rarer. Linux.
 *
 * A look that fails for want of descriptors or memory is left out; any other failure ends the watch,
 * and is thrown by the loops over it.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE,
 *   ERR_SOCKET_TUNER_ADDRESS_FAMILY; ENETUNREACH and the like where this host has no source address for
 *   a destination; from the loop ERR_SOCKET_TUNER_UNSUPPORTED where sockets cannot be counted
 */
export function watchPorts(options: WatchPortsOptions): PortWatch {
  return new Watch(checkWatch(options))
}

class Watch implements PortWatch {
  readonly #options: CheckedWatch
  readonly #watched: readonly DestinationWatch[]
  readonly #meter = new ConnectMeter()
  readonly #feed = new Feed<PortReport>(() => {
    this.stop()
  })
  readonly #onAbort = (): void => {
    this.stop()
  }
  readonly #costs: number[] = []
  #latest: readonly PortReport[] = []
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  constructor(options: CheckedWatch) {
    this.#options = options
    this.#watched = options.places.map(
      (place) => new DestinationWatch(place, options.warnAt, this.#meter),
    )
    const { signal } = options
    if (signal?.aborted === true) this.stop()
    else {
      signal?.addEventListener('abort', this.#onAbort, { once: true })
      void this.#look()
    }
  }

  get latest(): readonly PortReport[] {
    return this.#latest
  }

  [Symbol.asyncIterator](): AsyncIterator<PortReport, undefined> {
    return this.#feed.read()
  }

  [Symbol.dispose](): void {
    this.stop()
  }

  stop(): void {
    this.#end(undefined)
  }

  #end(error: unknown): void {
    if (this.#stopped) return
    this.#stopped = true
    clearTimeout(this.#timer)
    this.#meter.stop()
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
    this.#feed.end(error)
  }

  async #look(): Promise<void> {
    const begun = performance.now()
    try {
      const found: PortReport[] = []
      // One after the other, so that the pool's threads are left to others.
      for (const watched of this.#watched) {
        const report = await watched.look()
        if (this.#stopped) return
        found.push(report)
      }
      this.#latest = found
      for (const report of found) if (reports.hasSubscribers) reports.publish(report)
      this.#feed.give(found)
    } catch (error) {
      if (!passing.includes((error as { code?: unknown }).code)) {
        this.#end(error)
        return
      }
    }
    this.#schedule(begun)
  }

  #schedule(begun: number): void {
    const now = performance.now()
    this.#costs.push(this.#watched.reduce((sum, { processorMs }) => sum + processorMs, 0))
    if (this.#costs.length > COSTS_KEPT) this.#costs.shift()
    const pace = Math.max(this.#options.intervalMs, Math.min(...this.#costs) / MOST_OF_A_CORE)
    this.#timer = setTimeout(
      () => {
        void this.#look()
      },
      Math.max(0, begun + pace - now),
    ).unref()
  }
}
