/** The load of one process, from its first connection to its last, and what the process measured. */
import { Arrivals } from './arrivals'
import { circumstancesOf } from './circumstances'
import { CloseWatch } from './close-watch'
import type { Circumstances } from './connection'
import { TcpSamples, portWaitsSoFar } from './kernel-watch'
import type { LatencyHistogram } from './latency-histogram'
import { Load } from './load'
import { openWires } from './open-wires'
import { tuningIn, type CheckedStress } from './options'
import { Pace } from './pace'
import type { Part, PartSnapshot, Share } from './part'
import { durationOf } from './plan'
import { Recorder } from './recorder'
import type { StressGenerator, StressResult, StressSnapshot, StressTargetInfo } from './result'
import { SelfWatch } from './self-watch'

/** A snapshot whose histogram is valid until the next one. */
export interface MeasuredSnapshot extends Omit<PartSnapshot, 'latency' | 'latencyMs'> {
  readonly latency: LatencyHistogram
}

/** The plan of one part. */
export interface MeasurementPlan {
  /** With the part's own number of connections and of requests, and the rates of the whole run. */
  readonly options: CheckedStress
  readonly share: Share
  readonly target: StressTargetInfo
}

interface Outcome {
  readonly load: Load
  readonly ended: StressResult['ended']
  readonly seconds: number
  readonly unsent: number
  readonly generator: Omit<StressGenerator, 'lag'>
}

/** One part of a run. It can be run once. */
export class Measurement {
  readonly #plan: MeasurementPlan
  readonly #take: (snapshot: MeasuredSnapshot) => void
  readonly #closes: CloseWatch
  readonly #recorder = new Recorder()
  readonly #samples = new TcpSamples()
  #begunMeasured = 0
  #stage: StressSnapshot['stage'] = 'warm-up'
  #reached: (() => void) | undefined

  /** @param take called with each snapshot */
  constructor(plan: MeasurementPlan, take: (snapshot: MeasuredSnapshot) => void) {
    this.#plan = plan
    this.#take = take
    this.#closes = new CloseWatch(tuningIn(plan.options))
  }

  /** @param atMs the moment of the start, ms of performance.now(); undefined for now */
  async run(atMs?: number): Promise<Part> {
    const { options, target } = this.#plan
    const waitsBefore = portWaitsSoFar()
    const self = new SelfWatch()
    const wires = openWires(options, target, this.#closes.connector, (connectMs) => {
      if (this.#stage === 'measure') this.#recorder.phases.connectCall.record(connectMs)
    })
    try {
      const circumstances: Circumstances = {
        ...circumstancesOf(options),
        wires,
        recorder: this.#recorder,
        sample: process.platform === 'linux' ? this.#samples.take : undefined,
      }
      if (atMs !== undefined) await moment(atMs)
      const outcome = await this.#load(circumstances, self, atMs ?? performance.now())
      const lag = this.#recorder.lag.distribution()
      return {
        ...this.#measured(outcome),
        closes: this.#closes.totals(outcome.load.closedSoFar),
        kernel: { ...this.#samples.result, portWaits: portWaitsSoFar() - waitsBefore },
        generator: { ...outcome.generator, lag },
      }
    } finally {
      wires.close()
      self.release()
    }
  }

  /** The load, from its first connection to its last. */
  async #load(circumstances: Circumstances, self: SelfWatch, startMs: number): Promise<Outcome> {
    const { options, share } = this.#plan
    const { connections, connectionsPerSecond, ratePerSecond, arrivals } = options
    const { warmupMs, timeoutMs, signal } = options
    const recorder = this.#recorder
    const load: Load = new Load(
      circumstances,
      {
        connections,
        arrivals:
          ratePerSecond === undefined
            ? undefined
            : new Arrivals(ratePerSecond, arrivals, startMs, Math.random, share),
        pace:
          connectionsPerSecond === undefined
            ? undefined
            : new Pace(connectionsPerSecond, startMs, share),
      },
      {
        begun: (intendedMs) => this.#begun(intendedMs),
        late: (intendedMs, lagMs) => {
          if (recorder.counts(intendedMs)) recorder.lag.record(lagMs)
        },
      },
    )
    const over = new AbortController()
    const aborted = abortionOf(signal)
    const snapshots = this.#takeSnapshots(load, self, startMs)
    try {
      const reached = new Promise<'amount'>((resolve) => {
        this.#reached = () => {
          resolve('amount')
        }
      })
      // Known before the first request, so that each one is counted or not by its intended start.
      recorder.countsFrom = startMs + warmupMs
      recorder.countsUntil = recorder.countsFrom + durationOf(options)
      if (warmupMs === 0) this.#stage = 'measure'
      if (signal?.aborted !== true) load.start()
      let ended: StressResult['ended'] | 'over' = 'over'
      if (warmupMs > 0) {
        const left = recorder.countsFrom - performance.now()
        ended = await Promise.race([pause(left, 'over' as const, over.signal), aborted.promise])
        if (ended === 'over') snapshots.cut('measure')
        self.restart()
      }
      if (ended === 'over') {
        const durationMs = durationOf(options)
        const until = recorder.countsFrom + durationMs - performance.now()
        ended = await Promise.race([
          reached,
          aborted.promise,
          ...(durationMs === Infinity ? [] : [pause(until, 'duration' as const, over.signal)]),
        ])
      }
      let endMs = performance.now()
      // The timer may have fired late.
      if (ended === 'duration') endMs = recorder.countsUntil
      else recorder.countsUntil = ended === 'amount' ? Infinity : endMs
      snapshots.cut('drain')
      if (ended === 'aborted') load.abort()
      else load.stop()
      const drained = await Promise.race([
        load.idle(),
        aborted.promise,
        pause(timeoutMs, 'late' as const, over.signal),
      ])
      // The requests that still wait would need connections, and these are busy with their own requests.
      const unsent = load.dropWaiting()
      if (drained === 'late') await Promise.race([load.idle(), aborted.promise])
      if (signal?.aborted === true) load.abort()
      if (ended === 'amount') endMs = performance.now()
      const allEnded = load.ended()
      await Promise.race([allEnded, aborted.promise])
      if (signal?.aborted === true) load.abort()
      await allEnded
      // Without the wait that follows, in which the generator has nothing to do.
      const generator = self.stop()
      await Promise.race([
        this.#closes.complete(load.closedSoFar),
        aborted.promise,
        pause(timeoutMs, undefined, over.signal),
      ])
      const seconds = Math.max(0, endMs - recorder.countsFrom) / 1000
      return { load, ended, seconds, unsent, generator }
    } finally {
      over.abort()
      aborted.release()
      snapshots.stop()
    }
  }

  /** @returns whether the run is to have this request */
  #begun(intendedMs: number): boolean {
    if (!this.#recorder.counts(intendedMs)) return true
    const { options } = this.#plan
    const { amount = Infinity } = options
    if (
      this.#begunMeasured >= amount ||
      intendedMs >= this.#recorder.countsFrom + durationOf(options)
    )
      return false
    this.#begunMeasured++
    this.#recorder.planned++
    if (this.#begunMeasured === amount) this.#reached?.()
    return true
  }

  #takeSnapshots(
    load: Load,
    self: SelfWatch,
    startMs: number,
  ): { cut: (next: StressSnapshot['stage']) => void; stop: () => void } {
    let beforeMs = startMs
    const take = (): void => {
      const now = performance.now()
      this.#take({
        second: (now - startMs) / 1000,
        stage: this.#stage,
        intervalMs: now - beforeMs,
        ...this.#recorder.takeInterval(),
        connectionsOpen: load.open,
        waiting: load.waiting,
        eventLoopBusy: self.takeBusy(),
      })
      beforeMs = now
    }
    const timer = setInterval(take, this.#plan.options.snapshotMs)
    return {
      // No snapshot has parts of two stages.
      cut: (next) => {
        take()
        this.#stage = next
        timer.refresh()
      },
      stop: () => {
        clearInterval(timer)
        take()
      },
    }
  }

  #measured({
    load,
    ended,
    seconds,
    unsent,
  }: Outcome): Omit<Part, 'closes' | 'kernel' | 'generator'> {
    const recorder = this.#recorder
    const { planned, answered, answeredInTime, failed, aborted, opened } = recorder
    const perSecond = (count: number): number => (seconds > 0 ? count / seconds : 0)
    return {
      ended,
      seconds,
      requests: {
        planned,
        answered,
        failed,
        unsent,
        aborted,
        perSecond: perSecond(answeredInTime),
        bytesReceived: recorder.bytesReceived,
        byStatus: Object.fromEntries(recorder.byStatus),
      },
      connections: {
        opened,
        failed: recorder.failedConnections,
        perSecond: perSecond(opened),
        mostOpen: load.mostOpen,
        endedByTarget: recorder.endedByTarget,
      },
      latency: recorder.latency.distribution(),
      phases: recorder.distributions,
      errors: recorder.errors,
    }
  }
}

/** A timer of Node may fire this much late: the rest of the time is spent in turns of the event loop. */
const TIMER_LATENESS_MS = 2

/** Resolves at a moment, ms of performance.now(); at once if it is over. */
async function moment(atMs: number): Promise<void> {
  const left = atMs - performance.now()
  if (left > TIMER_LATENESS_MS)
    await new Promise((resolve) => setTimeout(resolve, left - TIMER_LATENESS_MS))
  while (performance.now() < atMs) await new Promise((resolve) => setImmediate(resolve))
}

/** Resolves after a time, unless the signal is aborted before. */
function pause<T>(ms: number, value: T, over: AbortSignal): Promise<T> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms, value)
    const clear = (): void => {
      clearTimeout(timer)
    }
    over.addEventListener('abort', clear, { once: true })
  })
}

/** A promise of the abortion of a signal, which leaves no listener behind. */
function abortionOf(signal: AbortSignal | undefined): {
  promise: Promise<'aborted'>
  release: () => void
} {
  let abort: () => void = () => undefined
  const promise = new Promise<'aborted'>((resolve) => {
    abort = () => {
      resolve('aborted')
    }
  })
  signal?.addEventListener('abort', abort)
  if (signal?.aborted === true) abort()
  return {
    promise,
    release: () => signal?.removeEventListener('abort', abort),
  }
}
