import type { FallbackCode } from './fallback'
import { closeModes, type Closed, type CloseModeName } from './modes'

/** The outcomes of a number of closes. */
export interface CloseTotals {
  /** Closes by the mode that was used, which may differ from the requested one. */
  readonly closes: Readonly<Record<CloseModeName, number>>
  /** Closes that did not use the requested mode or were cut short, by cause. A cause that never occurred is absent. */
  readonly fallbacks: Readonly<Partial<Record<FallbackCode, number>>>
  /** Closes that left a TIME_WAIT entry on this side. */
  readonly timeWaitLeft: number
  /** Bytes that closes on this side discarded, without those lost to a peer's reset: {@link CloseReport.discardedBytes}. */
  readonly discardedBytes: number
  readonly unreadBytes: number
}

export class CloseTally {
  readonly #closes = Object.fromEntries(Object.keys(closeModes).map((name) => [name, 0])) as Record<
    CloseModeName,
    number
  >
  readonly #fallbacks: Partial<Record<FallbackCode, number>> = {}
  #timeWaitLeft = 0
  #discardedBytes = 0
  #unreadBytes = 0

  add(outcome: Closed): void {
    const { mode, fallback, timeWait, discardedBytes, unreadBytes, wasOver, byNode } = outcome
    if (byNode === true) return
    this.#closes[mode]++
    if (fallback !== undefined) {
      this.#fallbacks[fallback.code] = (this.#fallbacks[fallback.code] ?? 0) + 1
    }
    if (timeWait === 'here') this.#timeWaitLeft++
    if (wasOver !== true) this.#discardedBytes += discardedBytes
    this.#unreadBytes += unreadBytes
  }

  /** A snapshot. */
  get totals(): CloseTotals {
    return {
      closes: { ...this.#closes },
      fallbacks: { ...this.#fallbacks },
      timeWaitLeft: this.#timeWaitLeft,
      discardedBytes: this.#discardedBytes,
      unreadBytes: this.#unreadBytes,
    }
  }
}

const ofThisThread = new CloseTally()

/** Counts a close under a mode. */
export function countClose(outcome: Closed): void {
  ofThisThread.add(outcome)
}

/**
 * Returns the totals of all closes of this thread under a close mode: those by closeSocket(), and those of connections
 * whose mode was set on a socket, a server, an agent or by configuration. Connections without a mode are not counted.
 */
export function closeTotals(): CloseTotals {
  return ofThisThread.totals
}
