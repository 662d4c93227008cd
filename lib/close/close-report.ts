import type { Fallback } from './fallback'
import type { CloseModeName } from './modes'
import type { TimeWait } from './time-wait'

/** What a close did. */
export interface CloseReport {
  /** The requested mode. */
  requested: CloseModeName
  /**
   * The mode that was used. `fin` if the program had already sent its FIN by `end()`, and it was too late for `deliver`
   * or `reset`.
   */
  mode: CloseModeName
  /** Why the requested mode was not used, or why the close was cut short. */
  fallback?: Fallback
  /**
   * Bytes that were written and discarded before they were sent: those in JavaScript and libuv, those that waited for
   * the TLS handshake and, for a reset, those in the kernel's queue. On TLS, the kernel's bytes are counted as encrypted,
   * the others as written. The peer cannot use a TLS record that arrives only in part.
   */
  discardedBytes: number
  /**
   * Bytes that were sent and not acknowledged at a reset. Nobody sends them again, but on a sound network they arrive
   * before the RST. 0 in the other modes, which send them again.
   */
  inFlightBytes: number
  /**
   * Bytes that were received and that the program never read. On TLS, bytes that were not decrypted are counted as
   * received, without the close_notify of a peer that has finished. Only decryption distinguishes the session tickets of
   * a TLS 1.3 server from data, so they are counted if the client closes before it has read anything.
   */
  unreadBytes: number
  timeWait: TimeWait
  /** From the call until the descriptor was closed, ms. */
  durationMs: number
  /** The first 'error' that the socket emitted during the close. */
  error?: Error
}
