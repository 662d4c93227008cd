import type { FallbackCode } from './fallback'
import { closeModes, type Closed, type CloseModeName } from './modes'

/** What a number of closes came to. */
export interface CloseTotals {
  /** Closes by the mode that was used, which need not be the one that was asked for. */
  readonly closes: Readonly<Record<CloseModeName, number>>
  /** Closes that did not go as they were asked to, by cause; a cause that never occurred is absent. */
  readonly fallbacks: Readonly<Partial<Record<FallbackCode, number>>>
  /** Closes that left a TIME_WAIT entry on this side. */
  readonly timeWaitLeft: number
  /** Bytes that closes here threw away; not what a peer's reset did. See {@link CloseReport.discardedBytes}. */
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

  /** As they are at this moment. */
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

/** Counts a close of this library, whoever asked for it. */
export function countClose(outcome: Closed): void {
  ofThisThread.add(outcome)
}

/**
 * What all closes of this thread came to so far under a close mode: by closeSocket(), or because a mode
 * was set on a socket, a server, an agent or by configuration. Connections without a mode are not counted.
 */
export function closeTotals(): CloseTotals {
  return ofThisThread.totals
}
