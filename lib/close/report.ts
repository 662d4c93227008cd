import type { Fallback } from './fallback'
import type { TimeWait } from './time-wait'

/**
 * How a connection is closed.
 *
 * - `fin`: a FIN after everything written; TIME_WAIT here when this side closes first. Always right.
 * - `deliver`: the same on the wire, and the kernel forgets the connection when the FIN is
 *   acknowledged: no byte lost, no TIME_WAIT. Linux.
 * - `lingering`: FIN, then input is thrown away until the peer has finished: for an early answer to
 *   a peer that is still sending.
 * - `reset`: a RST; what the peer has not acknowledged is discarded, and counted.
 */
export type CloseMode = 'fin' | 'deliver' | 'lingering' | 'reset'

export const closeModes: readonly CloseMode[] = ['fin', 'deliver', 'lingering', 'reset']

/** What a close did. */
export interface CloseReport {
  /** The mode that was asked for. */
  requested: CloseMode
  /**
   * The mode that was used. `fin` where the program had sent its FIN by `end()` before, and the close
   * could not make `deliver` or `reset` of it any more.
   */
  mode: CloseMode
  /** Why another mode than the requested one was used, or why the close did not run its course. */
  fallback?: Fallback
  /**
   * Bytes written and thrown away before they were sent: those that had not left JavaScript (or
   * libuv), and for a reset those in the kernel's queue. On TLS the former are counted as written,
   * the latter as encrypted; and a record that arrives in part is lost to the peer whole.
   */
  discardedBytes: number
  /**
   * Bytes that a reset left to chance: sent, not acknowledged yet, and never sent again. On a sound
   * network they arrive before the RST does. 0 in the other modes, which send them again.
   */
  inFlightBytes: number
  /**
   * Bytes received that the program never read. On TLS, bytes that were not decrypted are counted as
   * they came, without the close_notify of a peer that has finished.
   */
  unreadBytes: number
  timeWait: TimeWait
  /** From the call to the moment at which the descriptor was closed, ms. */
  durationMs: number
  /** What the socket emitted as 'error' while it was being closed. */
  error?: Error
}

/** What is known at the moment of close(2). */
export type CloseOutcome = Pick<
  CloseReport,
  'mode' | 'fallback' | 'discardedBytes' | 'unreadBytes' | 'timeWait'
> & {
  inFlightBytes?: number
  /** The connection had ended before the close, which therefore discarded nothing itself. */
  wasOver?: boolean
  /** No mode was set: Node closed the connection in its own way, and it is not counted. */
  byNode?: boolean
}
