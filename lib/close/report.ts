import type { Fallback } from './fallback'
import type { CloseModeName } from './modes'
import type { TimeWait } from './time-wait'

/** What a close did. */
export interface CloseReport {
  /** The mode that was asked for. */
  requested: CloseModeName
  /**
   * The mode that was used. `fin` where the program had sent its FIN by `end()` before, and the close
   * could not make `deliver` or `reset` of it any more.
   */
  mode: CloseModeName
  /** Why another mode than the requested one was used, or why the close did not run its course. */
  fallback?: Fallback
  /**
   * Bytes written and thrown away before they were sent: those that had not left JavaScript (or
   * libuv, or waited for the TLS handshake), and for a reset those in the kernel's queue. On TLS the
   * former are counted as written, the latter as encrypted; and a record that arrives in part is lost to
   * the peer whole.
   */
  discardedBytes: number
  /**
   * Bytes that a reset left to chance: sent, not acknowledged yet, and never sent again. On a sound
   * network they arrive before the RST does. 0 in the other modes, which send them again.
   */
  inFlightBytes: number
  /**
   * Bytes received that the program never read. On TLS, bytes that were not decrypted are counted as
   * they came, without the close_notify of a peer that has finished. Only decryption tells a TLS 1.3 server's
   * session tickets from data: those that come to a client that closes before it has read anything are counted.
   */
  unreadBytes: number
  timeWait: TimeWait
  /** From the call to the moment at which the descriptor was closed, ms. */
  durationMs: number
  /** What the socket emitted as 'error' while it was being closed. */
  error?: Error
}
