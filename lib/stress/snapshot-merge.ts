/** Merges the snapshots of the parts of a run into those of the run. */
import { LatencyHistogram } from './latency-histogram'
import type { PartSnapshot } from './part'
import { snapshotLatency } from './recorder'
import type { StressSnapshot } from './result'

const STAGES: readonly StressSnapshot['stage'][] = ['warm-up', 'measure', 'drain']

/** A snapshot of all parts. */
export interface MergedSnapshot<S> {
  readonly snapshot: Omit<PartSnapshot, 'latency'>
  /** The last snapshot of each part at that time. Parts that have none yet, or were lost, are absent. */
  readonly latest: readonly S[]
}

/** The snapshots of one part that are not merged yet. */
interface Row<S> {
  readonly waiting: S[]
  latest: S | undefined
  isOver: boolean
}

/**
 * Takes the snapshots of all parts in any order. Those that were due at the same time in the same stage become one, once
 * each part has sent it, a later one, or its last one.
 */
export class SnapshotMerge<S extends PartSnapshot> {
  readonly #rows: readonly Row<S>[]
  readonly #histogram = new LatencyHistogram()
  #second = 0

  constructor(parts: number) {
    this.#rows = Array.from({ length: parts }, () => ({
      waiting: [],
      latest: undefined,
      isOver: false,
    }))
  }

  push(part: number, snapshot: S): void {
    this.#rows[part]?.waiting.push(snapshot)
  }

  /** The part sends no more snapshots. */
  end(part: number): void {
    const row = this.#rows[part]
    if (row !== undefined) row.isOver = true
  }

  /** The part is lost, and its connections with it. */
  lose(part: number): void {
    this.end(part)
    const row = this.#rows[part]
    if (row !== undefined) row.latest = undefined
  }

  /** Returns the snapshots that have become complete. */
  take(): MergedSnapshot<S>[] {
    const merged: MergedSnapshot<S>[] = []
    for (;;) {
      if (this.#rows.some(({ waiting, isOver }) => waiting.length === 0 && !isOver)) return merged
      const group = this.#nextGroup()
      if (group.length === 0) return merged
      const latest = this.#rows.map((row) => row.latest).filter((each) => each !== undefined)
      merged.push({ snapshot: this.#merge(group, latest), latest })
    }
  }

  /** Takes the earliest snapshot, with those of the other parts that belong to it. */
  #nextGroup(): S[] {
    const heads = this.#rows.flatMap(({ waiting: [head] }) => (head === undefined ? [] : [head]))
    const [first] = heads.toSorted(earlierFirst)
    if (first === undefined) return []
    return this.#rows.flatMap((row) => {
      const [head] = row.waiting
      if (head === undefined || !belongsTo(first, head)) return []
      row.waiting.shift()
      row.latest = head
      return [head]
    })
  }

  #merge(group: readonly S[], latest: readonly S[]): Omit<PartSnapshot, 'latency'> {
    const sum = (of: (snapshot: S) => number, all = group): number =>
      all.reduce((before, each) => before + of(each), 0)
    const most = (of: (snapshot: S) => number): number => Math.max(...group.map(of))
    // A part that is late must not turn the time back.
    this.#second = most(({ second }) => Math.max(second, this.#second))
    return {
      second: this.#second,
      stage: group[0]?.stage ?? 'drain',
      intervalMs: most(({ intervalMs }) => intervalMs),
      answered: sum(({ answered }) => answered),
      failed: sum(({ failed }) => failed),
      connectionsOpened: sum(({ connectionsOpened }) => connectionsOpened),
      connectionsOpen: sum(({ connectionsOpen }) => connectionsOpen, latest),
      waiting: sum(({ waiting }) => waiting, latest),
      latencyMs: this.#latency(group),
      eventLoopBusy: most(({ eventLoopBusy }) => eventLoopBusy),
    }
  }

  /** Without the distributions, no percentile of the whole is higher than the highest of the parts. */
  #latency(group: readonly S[]): StressSnapshot['latencyMs'] {
    const histogram = this.#histogram
    histogram.reset()
    const answering = group.filter(({ answered }) => answered > 0)
    for (const { latency } of answering) if (latency !== undefined) histogram.add(latency)
    if (answering.every(({ latency }) => latency !== undefined)) return snapshotLatency(histogram)
    const most = (name: keyof StressSnapshot['latencyMs']): number =>
      Math.max(...answering.map(({ latencyMs }) => latencyMs[name]))
    return {
      p50: most('p50'),
      p90: most('p90'),
      p99: most('p99'),
      'p99.9': most('p99.9'),
      max: most('max'),
    }
  }
}

function earlierFirst(one: PartSnapshot, other: PartSnapshot): number {
  const stages = STAGES.indexOf(one.stage) - STAGES.indexOf(other.stage)
  return stages === 0 ? one.second - other.second : stages
}

/** Whether a snapshot was due at the same time as the earliest one, as far as timers are exact. */
function belongsTo(first: PartSnapshot, other: PartSnapshot): boolean {
  const tolerated = Math.min(first.intervalMs, other.intervalMs) / 2 / 1000
  return first.stage === other.stage && other.second - first.second <= tolerated
}
