/** Makes a run with several workers: they start together, and what they measure becomes one. */
import { SocketTunerError } from '../errors'
import { MAX_INT32 } from '../spec'
import { Assigned } from './assignment'
import { limitsOf } from './limits'
import { mergeParts } from './merge'
import { capitalized, mergeLimits } from './merge-limits'
import type { CheckedStress } from './options'
import type { Part, PartSnapshot } from './part'
import { durationOf, planOf } from './plan'
import type { StressLimit, StressTargetInfo, StressWorker } from './result'
import { SnapshotMerge } from './snapshot-merge'
import type { WorkerPool } from './worker-pool'
import { PATIENCE, WorkerWatch, type WorkerPatience } from './worker-watch'

/** What all processes of a run measured. */
export interface MeasuredRun {
  readonly part: Part
  readonly limits: readonly StressLimit[]
  readonly workers: readonly StressWorker[]
}

/** From the message about the start to the start: it reaches all workers before, unless they are very busy. */
const NOTICE_MS = 50
const NOTICE_OF_EACH_MS = 2
/** How long a worker may take to be ready, and to end beyond the time that its load can take, ms. */
const GRACE_MS = 60_000
/** A connection may wait for its connect(), an answer and its close, after a request that waits; then closes may linger. */
const TIMEOUTS = 5

const NS_PER_MS = 1_000_000n

/**
 * @param take called with each snapshot of the run
 * @throws (as a rejection) ERR_SOCKET_TUNER_STRESS_WORKER if a worker cannot be started, or if none gives a result
 */
export async function measureInWorkers(
  job: { readonly options: CheckedStress; readonly target: StressTargetInfo },
  pool: WorkerPool,
  take: (snapshot: Omit<PartSnapshot, 'latency'>) => void,
  patience: WorkerPatience = PATIENCE,
): Promise<MeasuredRun> {
  const { workers: count, signal } = job.options
  const merge = new SnapshotMerge<PartSnapshot>(count)
  const publish = (): void => {
    for (const { snapshot } of merge.take()) take(snapshot)
  }
  const all = pool.workers().map(
    (worker, index) =>
      new Assigned(worker, { index, count }, { ...job, beatMs: patience.beatMs }, (snapshot) => {
        merge.push(index, snapshot)
        publish()
      }),
  )
  const deadline = new Deadline(all)
  const abort = (): void => {
    for (const each of all) each.abort()
    deadline.set(GRACE_MS)
  }
  let loss: StressLimit | undefined
  let watch: WorkerWatch | undefined
  try {
    deadline.set(GRACE_MS, ({ isReady }) => !isReady)
    await Promise.all(all.map(({ ready }) => ready))
    const failed = all.find(({ lost }) => lost !== undefined)
    if (failed !== undefined) throw failureOf(failed, 'before the run')
    deadline.set(longestOf(job.options))
    signal?.addEventListener('abort', abort)
    if (signal?.aborted === true) abort()
    const noticeMs = NOTICE_MS + NOTICE_OF_EACH_MS * count
    const startMs = performance.now() + noticeMs
    const atNs = process.hrtime.bigint() + BigInt(noticeMs) * NS_PER_MS
    for (const each of all) each.start(atNs)
    watch = new WorkerWatch(all, patience)
    const ends = all.map(async (each, index) => {
      await each.over
      if (each.lost === undefined) merge.end(index)
      else {
        merge.lose(index)
        // The others would go on with a part of the load.
        if (loss === undefined) abort()
        loss ??= lossOf(each, (performance.now() - startMs) / 1000)
      }
      publish()
    })
    await Promise.all(ends)
  } finally {
    signal?.removeEventListener('abort', abort)
    deadline.clear()
    watch?.stop()
  }
  return summaryOf(all, job.options, loss)
}

/** Ends the workers that are not done in time. */
class Deadline {
  readonly #all: readonly Assigned[]
  #timer: NodeJS.Timeout | undefined

  constructor(all: readonly Assigned[]) {
    this.#all = all
  }

  /** Replaces an earlier one. @param ms from now; none if a timer cannot be so long */
  set(ms: number, isLate: (each: Assigned) => boolean = () => true): void {
    this.clear()
    if (ms > MAX_INT32) return
    this.#timer = setTimeout(() => {
      for (const each of this.#all.filter(isLate))
        each.giveUp(`it was not done after ${seconds(ms)} s`)
    }, ms)
  }

  clear(): void {
    clearTimeout(this.#timer)
  }
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(0)
}

/** The longest time that a run can take, ms. */
function longestOf(options: CheckedStress): number {
  const { warmupMs, timeoutMs, portWaitMs } = options
  return warmupMs + durationOf(options) + TIMEOUTS * timeoutMs + portWaitMs + GRACE_MS
}

function summaryOf(
  all: readonly Assigned[],
  options: CheckedStress,
  loss: StressLimit | undefined,
): MeasuredRun {
  const plan = planOf(options)
  const parts = all.flatMap(({ name, part }) =>
    part === undefined ? [] : [{ name, part, limits: limitsOf({ plan, ...part }) }],
  )
  const [first] = all
  if (parts.length === 0 && first !== undefined) throw failureOf(first, 'and so did all others')
  return {
    part: mergeParts(parts.map(({ part }) => part)),
    limits: [...(loss === undefined ? [] : [loss]), ...mergeLimits(parts)],
    workers: parts.map(({ name, part: { requests, generator } }) => ({
      name,
      answered: requests.answered,
      perSecond: requests.perSecond,
      generator,
    })),
  }
}

function lossOf({ name, lost = '' }: Assigned, seconds: number): StressLimit {
  return {
    code: 'worker',
    message: `${capitalized(name)} was lost after ${Math.max(0, seconds).toFixed(1)} s: ${lost}. What it measured is missing, and the run ended with it.`,
  }
}

function failureOf({ name, lost = '' }: Assigned, when: string): SocketTunerError {
  return new SocketTunerError(`${name} was lost ${when}: ${lost}`, {
    code: 'ERR_SOCKET_TUNER_STRESS_WORKER',
  })
}
