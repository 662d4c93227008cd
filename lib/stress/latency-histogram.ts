/**
 * A histogram of durations. Node's createHistogram() does not expose its buckets, and the results of several
 * processes or runs could not be merged.
 */
import { isObject } from '../errors'
import { MAX_INT32 } from '../spec'

/** Buckets of each power of two: a bucket is at most 0.1 % wide. */
const PER_POWER = 1024
/** The highest duration, ns: 73 minutes. Longer ones are counted as this. */
const HIGHEST_NS = 2 ** 42 - 1
const BUCKETS = 32 * PER_POWER + PER_POWER
const NS_PER_MS = 1e6

/** The percentiles of a distribution, ms. */
export interface Percentiles {
  readonly p50: number
  readonly p75: number
  readonly p90: number
  readonly p95: number
  readonly p99: number
  readonly 'p99.9': number
  readonly 'p99.99': number
}

export const percentileNames = ['p50', 'p75', 'p90', 'p95', 'p99', 'p99.9', 'p99.99'] as const

/** A distribution of durations, as the JSON of a result has it. All figures are 0 without samples. */
export interface LatencyDistribution {
  /** The number of samples. */
  readonly count: number
  readonly minMs: number
  readonly meanMs: number
  readonly maxMs: number
  /** The upper end of the bucket in which the percentile lies, at most 0.1 % above it. */
  readonly percentilesMs: Percentiles
  /** Pairs of numbers: the index of a bucket and its count, without empty buckets. See docs/stress.md. */
  readonly buckets: readonly number[]
}

export class LatencyHistogram {
  readonly #counts = new Uint32Array(BUCKETS)
  #count = 0
  #sumNs = 0
  #minNs = Infinity
  #maxNs = 0

  get count(): number {
    return this.#count
  }

  /** @param ms a duration, ms; a negative one, from a clock of another process, counts as 0 */
  record(ms: number): void {
    const ns = Math.min(HIGHEST_NS, Math.max(0, Math.round(ms * NS_PER_MS)))
    const index = bucketOf(ns)
    this.#counts[index] = (this.#counts[index] ?? 0) + 1
    this.#count++
    this.#sumNs += ns
    if (ns < this.#minNs) this.#minNs = ns
    if (ns > this.#maxNs) this.#maxNs = ns
  }

  /** Adds the samples of a result. */
  add({ count, minMs, meanMs, maxMs, buckets }: LatencyDistribution): void {
    if (count === 0) return
    for (let at = 0; at + 1 < buckets.length; at += 2) {
      const index = buckets[at] ?? 0
      this.#counts[index] = (this.#counts[index] ?? 0) + (buckets[at + 1] ?? 0)
    }
    this.#count += count
    // A whole number of nanoseconds, which the mean may miss by a rounding error.
    this.#sumNs += Math.round(meanMs * count * NS_PER_MS)
    this.#minNs = Math.min(this.#minNs, Math.round(minMs * NS_PER_MS))
    this.#maxNs = Math.max(this.#maxNs, Math.round(maxMs * NS_PER_MS))
  }

  reset(): void {
    this.#counts.fill(0)
    this.#count = 0
    this.#sumNs = 0
    this.#minNs = Infinity
    this.#maxNs = 0
  }

  /** The duration that `percent` percent of the samples do not exceed, ms; 0 without samples. */
  percentileMs(percent: number): number {
    const wanted = Math.max(1, Math.ceil((percent / 100) * this.#count))
    let seen = 0
    for (let index = 0; index < BUCKETS; index++) {
      seen += this.#counts[index] ?? 0
      if (seen >= wanted) {
        return Math.max(this.#minNs, Math.min(this.#maxNs, highestOf(index))) / NS_PER_MS
      }
    }
    return 0
  }

  distribution(): LatencyDistribution {
    const buckets: number[] = []
    this.#counts.forEach((count, index) => {
      if (count > 0) buckets.push(index, count)
    })
    return {
      count: this.#count,
      minMs: this.#count === 0 ? 0 : this.#minNs / NS_PER_MS,
      meanMs: this.#count === 0 ? 0 : this.#sumNs / this.#count / NS_PER_MS,
      maxMs: this.#maxNs / NS_PER_MS,
      percentilesMs: Object.fromEntries(
        percentileNames.map((name) => [name, this.percentileMs(Number(name.slice(1)))]),
      ) as unknown as Percentiles,
      buckets,
    }
  }
}

/** Merges distributions exactly: as if one histogram had all their samples. */
export function mergeDistributions(all: readonly LatencyDistribution[]): LatencyDistribution {
  const histogram = new LatencyHistogram()
  for (const each of all) histogram.add(each)
  return histogram.distribution()
}

/** Whether a value, which may come from a file, has what a distribution must have to be added to others. */
export function isDistribution(value: unknown): value is LatencyDistribution {
  if (!isObject(value)) return false
  const { count, minMs, meanMs, maxMs, percentilesMs, buckets } = value
  if (!isObject(percentilesMs) || !Array.isArray(buckets)) return false
  const durations = [minMs, meanMs, maxMs, ...percentileNames.map((name) => percentilesMs[name])]
  if (!durations.every((ms) => Number.isFinite(ms) && (ms as number) >= 0)) return false
  let sum = 0
  let before = -1
  for (let at = 0; at < buckets.length; at += 2) {
    const [index, samples] = buckets.slice(at, at + 2) as unknown[]
    if (!isWhole(index, before + 1, BUCKETS - 1) || !isWhole(samples, 1, Infinity)) return false
    before = index
    sum += samples
  }
  return count === sum
}

function isWhole(value: unknown, min: number, max: number): value is number {
  return Number.isInteger(value) && (value as number) >= min && (value as number) <= max
}

/** Durations below 2 * PER_POWER ns have a bucket each. */
function bucketOf(ns: number): number {
  if (ns < 2 * PER_POWER) return ns
  if (ns <= MAX_INT32) {
    const shift = 21 - Math.clz32(ns)
    return shift * PER_POWER + (ns >>> shift)
  }
  const shift = exponentOf(ns) - 10
  return shift * PER_POWER + Math.floor(ns / 2 ** shift)
}

/** The longest duration of a bucket, ns. */
function highestOf(index: number): number {
  if (index < 2 * PER_POWER) return index
  const shift = Math.floor(index / PER_POWER) - 1
  return (index - shift * PER_POWER + 1) * 2 ** shift - 1
}

/** The whole part of log2, which Math.log2() may round up. */
function exponentOf(ns: number): number {
  const high = Math.floor(ns / 2 ** 32)
  return high === 0 ? 31 - Math.clz32(ns) : 63 - Math.clz32(high)
}
