import type { CloseTotals } from '../../close/tally'

/** `closes: 20 deliver, 1 fin; 1 not as asked; 0 bytes discarded`. */
export function closesText({ closes, fallbacks, discardedBytes }: CloseTotals): string {
  const modes = Object.entries(closes).filter(([, count]) => count > 0)
  const counts = modes.map(([mode, count]) => `${String(count)} ${mode}`)
  const text = counts.length === 0 ? 'none' : counts.join(', ')
  return `closes: ${text}; ${String(fallbacks)} not as asked; ${String(discardedBytes)} bytes discarded`
}
