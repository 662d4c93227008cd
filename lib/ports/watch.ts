import { channel } from 'node:diagnostics_channel'
import { isNativeError } from 'node:util/types'
import { endpoint } from '../connect/address'
import { announce } from '../warnings'
import { secondsUntilWarning } from './alarm'
import { DestinationWatch } from './destination-watch'
import { Feed } from './feed'
import { Pace } from './pace'
import type { PortReport } from './report'
import { readOwners, type PortOwners } from './snapshot'
import { checkWatch, type CheckedWatch, type WatchPortsOptions } from './watch-options'

/** A running watch: `for await` gives a report for each address of each destination at each look. */
export interface PortWatch extends AsyncIterable<PortReport>, Disposable {
  /**
   * The last good look; empty before the first, and when the watch has died. `time` of its reports says
   * how old they are.
   */
  readonly latest: readonly PortReport[]
  /** False once the watch has ended: it was stopped, or it has died. */
  readonly running: boolean
  /** Why the last look failed; undefined after a good one. */
  readonly failure: Error | undefined
  /** Looks that have failed so far. */
  readonly failedLooks: number
  /**
   * Resolves when the watch was stopped. Rejects with the error when it has died: no more looks are made.
   * Nobody has to read it; there is no unhandled rejection.
   */
  readonly ended: Promise<void>
  /** Ends the watch and every loop over it. May be called twice. */
  stop(): void
}

/** What subscribers of the diagnostics channel `socket-tuner:ports-ended` get. */
export interface PortWatchEnded {
  readonly watch: PortWatch
  /** Undefined when it was stopped. */
  readonly error: Error | undefined
}

/** A look just before what it was to see would see nothing: it comes so much later than foreseen. */
const NOT_BEFORE = 1.05
/** The longest pause after looks that failed, ms; more where the interval is longer. */
const LONGEST_PAUSE_MS = 30_000
/** Failures in a row that are worth a warning: fewer are chance. */
const FAILURES_TOLERATED = 3

/** A look fails for want of these, or of an answer in time, and the next one may not. */
const passing: readonly string[] = [
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
 * Watches the ports towards destinations: how many are left, how fast they go, when they are used up,
 * and what connect() costs in this thread, which is the only sign that a program gets of its own.
 *
 * Begins at once. Reports are published on the diagnostics channel `socket-tuner:ports` and come out
 * of `for await`, which gets the newest ones where it is slow. A destination that runs short is warned
 * of as SOCKET_TUNER_PORTS_LOW (see `warnAt`). Ends by stop(), by its signal, and when the last loop
 * over it is left. Holds no process open, and takes less than 1 % of a
 * core: where the kernel has very many sockets the looks become rarer, but for one that comes when the ports
 * are expected to run short. Linux.
 *
 * A host name is looked up as net.connect() does it, before the first look and again every 30 s, and each
 * of its addresses has a report of its own. An address that the name has no more is reported while
 * connections to it are left. When a later lookup fails the addresses stay as they are.
 *
 * A look that fails for want of descriptors or memory, or of an answer in time, is made again after a
 * pause that doubles up to 30 s; `failedLooks` counts them, and three in a row are warned of as
 * SOCKET_TUNER_WATCH_FAILING. Any other failure ends the watch: `ended` rejects with it, the loops over
 * the watch throw it, SOCKET_TUNER_WATCH_ENDED warns of it, and it is published on the diagnostics
 * channel `socket-tuner:ports-ended`.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE,
 *   ERR_SOCKET_TUNER_ADDRESS_FAMILY; ENETUNREACH and the like where this host has no source address for
 *   a destination; from the loop and `ended` ERR_SOCKET_TUNER_UNSUPPORTED where sockets cannot be counted,
 *   the errno's name when the kernel refuses, and ENOTFOUND where a host name is not known at first
 */
export function watchPorts(options: WatchPortsOptions): PortWatch {
  return new Watch(checkWatch(options))
}

class Watch implements PortWatch {
  readonly #options: CheckedWatch
  readonly #watched: readonly DestinationWatch[]
  readonly #feed = new Feed<PortReport>(() => {
    this.stop()
  })
  readonly #onAbort = (): void => {
    this.stop()
  }
  readonly #pace: Pace
  #latest: readonly PortReport[] = []
  #timer: NodeJS.Timeout | undefined
  #running = true
  #failure: Error | undefined
  #failedLooks = 0
  #failedInARow = 0
  #settle: { resolve: () => void; reject: (error: Error) => void } | undefined
  readonly ended: Promise<void>

  constructor(options: CheckedWatch) {
    this.#options = options
    this.#watched = watchesOf(options)
    this.#pace = new Pace(options.intervalMs)
    this.ended = new Promise<void>((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
    this.ended.catch(() => undefined)
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

  get running(): boolean {
    return this.#running
  }

  get failure(): Error | undefined {
    return this.#failure
  }

  get failedLooks(): number {
    return this.#failedLooks
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

  async #look(): Promise<void> {
    const begun = performance.now()
    let pause: number
    try {
      const found: PortReport[] = []
      const owners = await readOwners()
      // One after the other, so that the pool's threads are left to others.
      for (const watched of this.#watched) {
        const looked = await watched.look(owners)
        if (!this.#running) return
        found.push(...looked)
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
    this.#feed.give(found)
  }

  #fail(error: Error): void {
    if (!this.#running) return
    this.#failure = error
    this.#failedLooks++
    this.#failedInARow++
    if (!passing.includes(codeOf(error) ?? '')) this.#end(error)
    else if (this.#failedInARow === FAILURES_TOLERATED)
      announce('SOCKET_TUNER_WATCH_FAILING', this.#reason(error), this.#failingText(error))
  }

  /** One cause at one watch is told once. */
  #reason(error: Error): string {
    return `${codeOf(error) ?? error.name} ${this.#namesText()}`
  }

  #endedText(error: Error): string {
    return `The watch of the ports to ${this.#namesText()} has ended: ${error.message}`
  }

  #failingText(error: Error): string {
    const looks = String(this.#failedInARow)
    return `The last ${looks} looks at the ports to ${this.#namesText()} failed: ${error.message}. The watch goes on trying`
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
        void this.#look()
      },
      Math.max(0, at - performance.now()),
    ).unref()
  }

  /** Processor time, ms. */
  #costOf(owners: PortOwners): number {
    return this.#watched.reduce((sum, { processorMs }) => sum + processorMs, owners.processorMs)
  }

  #msUntilWarning(found: readonly PortReport[]): number {
    const { warnAt } = this.#options
    return (
      1000 * NOT_BEFORE * Math.min(...found.map((report) => secondsUntilWarning(report, warnAt)))
    )
  }

  /** A look that fails costs next to nothing. */
  #pauseAfterFailure(): number {
    const { intervalMs } = this.#options
    return Math.min(intervalMs * 2 ** this.#failedInARow, Math.max(intervalMs, LONGEST_PAUSE_MS))
  }
}

/** All of them, or none: one whose destination cannot be reached leaves no meter behind. */
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
