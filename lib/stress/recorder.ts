/** Counts what happens in a run. Each request and connection counts by the moment at which it began. */
import { LatencyHistogram } from './latency-histogram'
import type { StressError, StressPhase, StressPhases, StressSnapshot } from './result'

type Histograms = { readonly [K in keyof StressPhases]: LatencyHistogram }

/** The counts since the previous snapshot. */
export interface Interval {
  answered: number
  failed: number
  opened: number
}

/** Errors are counted for this many pairs of code and phase; the codes of TLS are many, but not endless. */
const MOST_ERRORS = 200

export class Recorder {
  readonly latency = new LatencyHistogram()
  readonly lag = new LatencyHistogram()
  readonly phases: Histograms = {
    queue: new LatencyHistogram(),
    portWait: new LatencyHistogram(),
    connectCall: new LatencyHistogram(),
    handshake: new LatencyHistogram(),
    handshakeRetried: new LatencyHistogram(),
    tls: new LatencyHistogram(),
    firstByte: new LatencyHistogram(),
    service: new LatencyHistogram(),
    close: new LatencyHistogram(),
  }
  /** The end of the warm-up, ms of performance.now(). Requests and connections that began earlier do not count. */
  countsFrom = Infinity
  /** Answers after this moment do not count in the rate. */
  countsUntil = Infinity
  planned = 0
  answered = 0
  answeredInTime = 0
  failed = 0
  aborted = 0
  opened = 0
  failedConnections = 0
  endedByTarget = 0
  bytesReceived = 0
  readonly byStatus = new Map<number, number>()
  readonly interval: Interval = { answered: 0, failed: 0, opened: 0 }
  #intervalLatency = new LatencyHistogram()
  #otherLatency = new LatencyHistogram()
  readonly #errors = new Map<string, { -readonly [K in keyof StressError]: StressError[K] }>()

  /** Whether a request or connection that began at this moment belongs to the measured run. */
  counts(begunMs: number): boolean {
    return begunMs >= this.countsFrom
  }

  answer(intendedMs: number, begunMs: number, nowMs: number, status: number): void {
    this.interval.answered++
    this.#intervalLatency.record(nowMs - intendedMs)
    if (!this.counts(intendedMs)) return
    this.answered++
    if (nowMs <= this.countsUntil) this.answeredInTime++
    this.latency.record(nowMs - intendedMs)
    this.phases.queue.record(begunMs - intendedMs)
    this.phases.service.record(nowMs - begunMs)
    if (status > 0) this.byStatus.set(status, (this.byStatus.get(status) ?? 0) + 1)
  }

  /** A request failed. */
  failure(intendedMs: number): void {
    this.interval.failed++
    if (this.counts(intendedMs)) this.failed++
  }

  error(begunMs: number, code: string, phase: StressPhase, message: string): void {
    if (!this.counts(begunMs)) return
    const key = `${code} ${phase}`
    const known = this.#errors.get(key)
    if (known !== undefined) known.count++
    else if (this.#errors.size < MOST_ERRORS)
      this.#errors.set(key, { code, phase, count: 1, message })
  }

  get errors(): StressError[] {
    return [...this.#errors.values()]
      .map((error) => ({ ...error }))
      .sort((a, b) => b.count - a.count)
  }

  /** Returns the figures since the last call. The histogram is valid until the next one. */
  takeInterval(): Pick<StressSnapshot, 'answered' | 'failed' | 'connectionsOpened'> & {
    readonly latency: LatencyHistogram
  } {
    const { answered, failed, opened } = this.interval
    const latency = this.#intervalLatency
    this.#intervalLatency = this.#otherLatency
    this.#intervalLatency.reset()
    this.#otherLatency = latency
    Object.assign(this.interval, { answered: 0, failed: 0, opened: 0 })
    return { answered, failed, connectionsOpened: opened, latency }
  }

  get distributions(): StressPhases {
    const entries = Object.entries(this.phases).map(([name, histogram]) => [
      name,
      histogram.distribution(),
    ])
    return Object.fromEntries(entries) as StressPhases
  }
}

/** The code under which an error of a connection counts. */
export function errorCodeOf({ code = 'UNKNOWN', syscall }: NodeJS.ErrnoException): string {
  // connect(2) has the same code when no port is free.
  return syscall === 'bind' && code !== 'EADDRINUSE' ? 'SOURCE_UNAVAILABLE' : code
}

/** The message with which an error counts. OpenSSL's own ends in the line of its source. */
export function errorMessageOf(error: Error & { readonly reason?: unknown }): string {
  return typeof error.reason === 'string' ? `TLS: ${error.reason}` : error.message
}

/** The percentiles that a snapshot has. */
export function snapshotLatency(latency: LatencyHistogram): StressSnapshot['latencyMs'] {
  return {
    p50: latency.percentileMs(50),
    p90: latency.percentileMs(90),
    p99: latency.percentileMs(99),
    'p99.9': latency.percentileMs(99.9),
    max: latency.percentileMs(100),
  }
}
