import type { CloseTotals } from '../close/tally'

/** `closes: 20 deliver, 1 fin; fallbacks: 1 ended; 1 left TIME_WAIT; 0 bytes discarded`. */
export function closesText({
  closes,
  fallbacks,
  timeWaitLeft,
  discardedBytes,
}: CloseTotals): string {
  return [
    `closes: ${countsText(closes)}`,
    `fallbacks: ${countsText(fallbacks)}`,
    `${String(timeWaitLeft)} left TIME_WAIT`,
    `${String(discardedBytes)} bytes discarded`,
  ].join('; ')
}

function countsText(counts: Readonly<Record<string, number>>): string {
  const some = Object.entries(counts).filter(([, count]) => count > 0)
  return some.length === 0
    ? 'none'
    : some.map(([name, count]) => `${String(count)} ${name}`).join(', ')
}
