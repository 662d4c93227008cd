import { channel } from 'node:diagnostics_channel'
import { isNativeError } from 'node:util/types'
import { endpoint } from '../connect/address'
import { announce } from '../warnings'
import { secondsUntilWarning } from './alarm'
import { DestinationWatch } from './destination-watch'
import { LatestFeed } from './latest-feed'
import { ReadingPace } from './reading-pace'
import type { PortReport } from './port-report'
import { readOwners, type PortOwners } from './snapshot'
import { checkWatch, type CheckedWatch, type WatchPortsOptions } from './watch-options'

/** A running watch. `for await` yields a report for each address of each destination at each reading. */
export interface PortWatch extends AsyncIterable<PortReport>, Disposable {
  /**
   * The reports of the last successful reading. Empty before the first one, and after the watch has failed. The
   * `time` of each report is that of its reading.
   */
  readonly latest: readonly PortReport[]
  /** False once the watch was stopped or has failed. */
  readonly running: boolean
  /** The error of the last reading; undefined if it succeeded. */
  readonly failure: Error | undefined
  /** The number of failed readings so far. */
  readonly failedReadings: number
  /**
   * Resolves when the watch is stopped. Rejects with the error when it fails; no more readings are taken then.
   * May be ignored: its rejection is never unhandled.
   */
  readonly ended: Promise<void>
  /** Ends the watch and every loop over it. May be called twice. */
  stop(): void
}

/** The message on the diagnostics channel `socket-tuner:ports-ended`. */
export interface PortWatchEnded {
  readonly watch: PortWatch
  /** Undefined if the watch was stopped. */
  readonly error: Error | undefined
}

/** A reading for an expected warning comes 5 % later than expected: just before, it would show nothing. */
const NOT_BEFORE = 1.05
/** The longest pause after failed readings, ms, unless the interval is longer. */
const LONGEST_PAUSE_MS = 30_000
/** Consecutive failures that cause a warning. */
const FAILURES_TOLERATED = 3

/** Errors that may be temporary: descriptors or memory run out, or an answer is late. */
const temporary: readonly string[] = [
  'EMFILE',
  'ENFILE',
  'ENOBUFS',
  'ENOMEM',
  'EAGAIN',
  'EINTR',
  'EBUSY',
  'ETIMEDOUT',
  'EAI_AGAIN',
]

const reports = channel('socket-tuner:ports')
const ends = channel('socket-tuner:ports-ended')

/**
 * Watches the ports for destinations: how many are left, how fast they are taken, when they run out, and the cost
 * of connect() in this thread.
 *
 * Starts at once. Reports are published on the diagnostics channel `socket-tuner:ports` and yielded by `for await`,
 * which skips to the newest ones if it is slow. A destination that runs short causes the warning
 * SOCKET_TUNER_PORTS_LOW (see `warnAt`). The watch ends by stop(), by its signal, or when the last loop over it
 * ends. It does not keep the process alive, and uses less than 1 % of a core: with very many sockets in the kernel,
 * readings become less frequent, except for one when the ports are expected to run short. Linux.
 *
 * A host name is looked up as net.connect() does, before the first reading and then every 30 s. Each of its
 * addresses has its own report. An address that the name no longer has is reported while connections to it remain.
 * If a later lookup fails, the addresses stay as they are.
 *
 * A reading that fails because descriptors or memory run out, or because of a timeout, is repeated after a pause
 * that doubles up to 30 s. `failedReadings` counts such readings, and three in a row cause the warning
 * SOCKET_TUNER_WATCH_FAILING. Any other failure ends the watch: `ended` rejects with the error, the loops over the
 * watch throw it, SOCKET_TUNER_WATCH_ENDED warns of it, and the diagnostics channel `socket-tuner:ports-ended`
 * publishes it.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_SOCKET_TUNER_ADDRESS_FAMILY;
 *   ENETUNREACH or similar if this host has no source address for a destination. The loops and `ended` throw
 *   ERR_SOCKET_TUNER_UNSUPPORTED if sockets cannot be counted here, the name of the errno if the kernel refuses, and
 *   ENOTFOUND for a host name that is unknown at first
 */
export function watchPorts(options: WatchPortsOptions): PortWatch {
  return new Watch(checkWatch(options))
}

class Watch implements PortWatch {
  readonly #options: CheckedWatch
  readonly #watched: readonly DestinationWatch[]
  readonly #feed = new LatestFeed<PortReport>(() => {
    this.stop()
  })
  readonly #onAbort = (): void => {
    this.stop()
  }
  readonly #pace: ReadingPace
  #latest: readonly PortReport[] = []
  #timer: NodeJS.Timeout | undefined
  #running = true
  #failure: Error | undefined
  #failedReadings = 0
  #failedInARow = 0
  #settle: { resolve: () => void; reject: (error: Error) => void } | undefined
  readonly ended: Promise<void>

  constructor(options: CheckedWatch) {
    this.#options = options
    this.#watched = watchesOf(options)
    this.#pace = new ReadingPace(options.intervalMs)
    this.ended = new Promise<void>((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
    this.ended.catch(() => undefined)
    const { signal } = options
    if (signal?.aborted === true) this.stop()
    else {
      signal?.addEventListener('abort', this.#onAbort, { once: true })
      void this.#read()
    }
  }

  get latest(): readonly PortReport[] {
    return this.#latest
  }

  get running(): boolean {
    return this.#running
  }

  get failure(): Error | undefined {
    return this.#failure
  }

  get failedReadings(): number {
    return this.#failedReadings
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

  #end(error: Error | undefined): void {
    if (!this.#running) return
    this.#running = false
    clearTimeout(this.#timer)
    for (const watched of this.#watched) watched.stop()
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
    this.#feed.end(error)
    if (error === undefined) this.#settle?.resolve()
    else {
      this.#latest = []
      this.#settle?.reject(error)
      announce('SOCKET_TUNER_WATCH_ENDED', this.#reason(error), this.#endedText(error))
    }
    if (ends.hasSubscribers) ends.publish({ watch: this, error } satisfies PortWatchEnded)
  }

  async #read(): Promise<void> {
    const begun = performance.now()
    let pause: number
    try {
      const found: PortReport[] = []
      const owners = await readOwners()
      // One at a time, to leave the threads of the pool to others.
      for (const watched of this.#watched) {
        const current = await watched.read(owners)
        if (!this.#running) return
        found.push(...current)
      }
      pause = this.#pace.after(this.#costOf(owners), this.#msUntilWarning(found))
      this.#succeed(found)
    } catch (error) {
      this.#fail(isNativeError(error) ? error : new Error(String(error)))
      pause = this.#pauseAfterFailure()
    }
    if (this.#running) this.#schedule(begun + pause)
  }

  #succeed(found: readonly PortReport[]): void {
    this.#latest = found
    this.#failure = undefined
    this.#failedInARow = 0
    for (const report of found) if (reports.hasSubscribers) reports.publish(report)
    this.#feed.push(found)
  }

  #fail(error: Error): void {
    if (!this.#running) return
    this.#failure = error
    this.#failedReadings++
    this.#failedInARow++
    if (!temporary.includes(codeOf(error) ?? '')) this.#end(error)
    else if (this.#failedInARow === FAILURES_TOLERATED)
      announce('SOCKET_TUNER_WATCH_FAILING', this.#reason(error), this.#failingText(error))
  }

  /** One cause is reported once for each watch. */
  #reason(error: Error): string {
    return `${codeOf(error) ?? error.name} ${this.#namesText()}`
  }

  #endedText(error: Error): string {
    return `The watch of the ports for ${this.#namesText()} has ended: ${error.message}`
  }

  #failingText(error: Error): string {
    const times = String(this.#failedInARow)
    return `The last ${times} readings of the ports for ${this.#namesText()} failed: ${error.message}. The watch keeps trying`
  }

  #namesText(): string {
    const [first, ...others] = this.#options.destinations
    if (first === undefined) return 'nowhere'
    const text = endpoint(first.remoteAddress, first.remotePort)
    return others.length === 0 ? text : `${text} and ${String(others.length)} more`
  }

  #schedule(at: number): void {
    this.#timer = setTimeout(
      () => {
        void this.#read()
      },
      Math.max(0, at - performance.now()),
    ).unref()
  }

  /** Processor time of a reading, ms. */
  #costOf(owners: PortOwners): number {
    return this.#watched.reduce((sum, { processorMs }) => sum + processorMs, owners.processorMs)
  }

  #msUntilWarning(found: readonly PortReport[]): number {
    const { warnAt } = this.#options
    return (
      1000 * NOT_BEFORE * Math.min(...found.map((report) => secondsUntilWarning(report, warnAt)))
    )
  }

  /** Ignores the cost: a failed reading costs next to nothing. */
  #pauseAfterFailure(): number {
    const { intervalMs } = this.#options
    return Math.min(intervalMs * 2 ** this.#failedInARow, Math.max(intervalMs, LONGEST_PAUSE_MS))
  }
}

/** Creates all watches or none: if one throws, the others are stopped. */
function watchesOf(options: CheckedWatch): DestinationWatch[] {
  const watches: DestinationWatch[] = []
  try {
    for (const destination of options.destinations)
      watches.push(new DestinationWatch(destination, options))
    return watches
  } catch (error) {
    for (const watch of watches) watch.stop()
    throw error
  }
}

function codeOf(error: Error): string | undefined {
  return (error as NodeJS.ErrnoException).code
}
