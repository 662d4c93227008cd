import type { CloseMode, CloseOutcome } from '../../close/report'
import type { CloseCounters } from '../../close/server-policy'

type Counted = Pick<CloseCounters, 'closes' | 'fallbacks' | 'discardedBytes'>

/** What the closes of client sockets came to. */
export class CloseCounts implements Counted {
  readonly closes: Record<CloseMode, number> = { fin: 0, deliver: 0, lingering: 0, reset: 0 }
  fallbacks = 0
  discardedBytes = 0

  add({ mode, discardedBytes, wasOver = false }: CloseOutcome, asked: CloseMode): void {
    this.closes[mode]++
    if (mode !== asked) this.fallbacks++
    if (!wasOver) this.discardedBytes += discardedBytes
  }
}

/** `closes: 20 deliver, 1 fin; 1 not as asked; 0 bytes discarded`. */
export function closesText({ closes, fallbacks, discardedBytes }: Counted): string {
  const modes = Object.entries(closes).filter(([, count]) => count > 0)
  const counts = modes.map(([mode, count]) => `${String(count)} ${mode}`)
  const text = counts.length === 0 ? 'none' : counts.join(', ')
  return `closes: ${text}; ${String(fallbacks)} not as asked; ${String(discardedBytes)} bytes discarded`
}
