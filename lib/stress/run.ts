import * as os from 'node:os'
import { Feed } from './feed'
import { RunPorts, counterChanges, readCounters, settledPorts } from './kernel-watch'
import { limitsOf } from './limits'
import { Measurement } from './measurement'
import type { CheckedStress } from './options'
import { WHOLE_RUN, type PartSnapshot } from './part'
import { placeOf, planOf, resolveTarget } from './plan'
import { probe } from './probe'
import { snapshotLatency } from './recorder'
import {
  SCHEMA_VERSION,
  type StressResult,
  type StressSnapshot,
  type StressTargetInfo,
} from './result'
import { requireSources } from './sources'
import { poolFor, type WorkerPool } from './worker-pool'
import { measureInWorkers, type MeasuredRun } from './workers'

/** A run. Iterating over it yields its snapshots, from the first one, until it ends. */
export interface StressRun extends AsyncIterable<StressSnapshot> {
  /**
   * The result, when all connections are closed. Rejects with a SocketTunerError if the target cannot be measured:
   * its code is that of the lookup, of bind() or connect() or of TLS, or ERR_SOCKET_TUNER_STRESS_TARGET. Rejects with
   * ERR_SOCKET_TUNER_STRESS_WORKER if a worker cannot be started, or if all of them are lost.
   */
  readonly result: Promise<StressResult>
}

/** One run, from its probe to its result. */
export class Run implements StressRun {
  readonly result: Promise<StressResult>
  readonly #options: CheckedStress
  readonly #pool: WorkerPool | undefined
  readonly #series: Feed<StressSnapshot>
  readonly #startedAt = new Date()

  /** @param pool the workers of several runs; undefined for workers of its own */
  constructor(options: CheckedStress, pool?: WorkerPool) {
    this.#options = options
    this.#pool = pool
    // In a later turn, since it uses what follows.
    this.result = Promise.resolve().then(() => this.#run())
    this.#series = new Feed(this.result)
  }

  [Symbol.asyncIterator](): AsyncIterator<StressSnapshot, void, undefined> {
    return this.#series[Symbol.asyncIterator]()
  }

  async #run(): Promise<StressResult> {
    const options = this.#options
    const target = await resolveTarget(options)
    requireSources(options)
    const place = placeOf(options, target)
    await probe(options, target)
    // The connection of the probe may leave an entry in TIME_WAIT, which is not one of the run.
    const portsBefore = await settledPorts(place)
    const ports = new RunPorts(place, portsBefore)
    const countersBefore = readCounters()
    const { part, limits, workers } = await this.#measure(target, (snapshot) => {
      this.#series.push({ ...snapshot, ...ports.figures })
      ports.refresh()
    })
    const { kernel, ...measured } = part
    const portsAfter = await settledPorts(place)
    return {
      schemaVersion: SCHEMA_VERSION,
      startedAt: this.#startedAt.toISOString(),
      environment: {
        node: process.version,
        platform: process.platform,
        release: os.release(),
        processors: os.availableParallelism(),
      },
      target,
      plan: planOf(options),
      valid: limits.length === 0,
      limits,
      ...measured,
      kernel: {
        counters: counterChanges(countersBefore, readCounters()),
        ...kernel,
        timeWaitBefore: portsBefore?.timeWait ?? null,
        timeWaitAfter: portsAfter?.timeWait ?? null,
        portsBefore: portsBefore?.free ?? null,
        portsAfter: portsAfter?.free ?? null,
      },
      workers,
      series: this.#series.values,
    }
  }

  /** Measures in this process or in workers. */
  async #measure(
    target: StressTargetInfo,
    take: (snapshot: Omit<PartSnapshot, 'latency'>) => void,
  ): Promise<MeasuredRun> {
    const options = this.#options
    const own = this.#pool === undefined ? poolFor(options.workers) : undefined
    const pool = this.#pool ?? own
    if (pool !== undefined) {
      try {
        return await measureInWorkers({ options, target }, pool, take)
      } finally {
        await own?.stop()
      }
    }
    const plan = { options, target, share: WHOLE_RUN }
    const measurement = new Measurement(plan, ({ latency, ...snapshot }) => {
      take({ ...snapshot, latencyMs: snapshotLatency(latency) })
    })
    const part = await measurement.run()
    return { part, limits: limitsOf({ plan: planOf(options), ...part }), workers: [] }
  }
}
