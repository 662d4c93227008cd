import type { CloseMode, CloseOutcome } from './report'

/** What a number of closes came to. */
export interface CloseTotals {
  /** Closes by the mode that was used. */
  readonly closes: Readonly<Record<CloseMode, number>>
  /** Closes in another mode than the one that was asked for. */
  readonly fallbacks: number
  /** Bytes that closes here threw away; not what a peer's reset did. See {@link CloseReport.discardedBytes}. */
  readonly discardedBytes: number
  readonly unreadBytes: number
}

export class CloseTally {
  readonly #closes: Record<CloseMode, number> = { fin: 0, deliver: 0, lingering: 0, reset: 0 }
  #fallbacks = 0
  #discardedBytes = 0
  #unreadBytes = 0

  /** @param asked the mode that was to be used */
  add(outcome: CloseOutcome, asked: CloseMode): void {
    const { mode, discardedBytes, unreadBytes, wasOver = false } = outcome
    this.#closes[mode]++
    if (mode !== asked) this.#fallbacks++
    if (!wasOver) this.#discardedBytes += discardedBytes
    this.#unreadBytes += unreadBytes
  }

  /** As they are at this moment. */
  get totals(): CloseTotals {
    return {
      closes: { ...this.#closes },
      fallbacks: this.#fallbacks,
      discardedBytes: this.#discardedBytes,
      unreadBytes: this.#unreadBytes,
    }
  }
}

const ofThisThread = new CloseTally()

/** Counts a close of this library, whoever asked for it. */
export function countClose(outcome: CloseOutcome, asked: CloseMode): void {
  ofThisThread.add(outcome, asked)
}

/**
 * What all closes of this thread came to so far that this library had a hand in: by closeSocket(), or
 * under a close mode that was set on a socket, a server, an agent or by configuration.
 */
export function closeTotals(): CloseTotals {
  return ofThisThread.totals
}
