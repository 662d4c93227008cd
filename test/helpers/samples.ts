import type { LatencyDistribution } from '../../lib/stress'

/** Counts the samples of at least `ms`. */
export function samplesFrom({ buckets }: LatencyDistribution, ms: number): number {
  let count = 0
  for (let at = 0; at < buckets.length; at += 2) {
    const index = buckets[at] ?? 0
    const shift = Math.max(0, Math.floor(index / 1024) - 1)
    if ((index - shift * 1024) * 2 ** shift >= ms * 1e6) count += buckets[at + 1] ?? 0
  }
  return count
}
