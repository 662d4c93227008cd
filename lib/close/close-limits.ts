/** The options of a close other than its modes. */
import { MAX_INT32, boolean, oneOf, spec, whole, type OutputOf } from '../spec'

/** The most descriptors that a process can have (fs.nr_open by default). */
const MAX_LINGERING = 2 ** 20

export const closeLimits = spec({
  /**
   * Whether `deliver` falls back to `fin` on a connection without TCP timestamps, where a delayed segment could enter
   * the next connection on the same ports. Default true. False saves the system call that checks.
   */
  requireTimestamps: boolean().default(true),
  /**
   * Whether `deliver` falls back to `fin` on an accepted connection whose peer has sent nothing. The peer's program may
   * not have noticed that its connect() is complete, and would get EPIPE instead of the data. Default true.
   */
  requirePeerData: boolean().default(true),
  /**
   * Whether close_notify (RFC 8446 section 6.1) goes out before the FIN on TLS, so that the peer can distinguish an end
   * from a truncation. Default true.
   */
  closeNotify: boolean().default(true),
  /** The deadline of a lingering close, and of closeSocket() in any mode, ms. Default 30,000. */
  deadlineMs: whole(1, MAX_INT32).default(30_000),
  /** Ends a lingering close when the peer has sent nothing for this time, ms. Default 5,000. */
  idleMs: whole(1, MAX_INT32).default(5_000),
  /** Ends a lingering close that has discarded more than this, bytes. Default 1 GiB (2^30). */
  maxDiscardBytes: whole(0, Number.MAX_SAFE_INTEGER).default(2 ** 30),
  /**
   * The most connections that may linger at once, per server; sockets without a server share one limit. Above it, the
   * oldest one is ended. Each holds a descriptor. Default 1,000.
   */
  maxLingering: whole(1, MAX_LINGERING).default(1_000),
  /**
   * The effect of `end()`, and so of `pipe()`, `pipeline()` and `await using`. `half-close` sends the FIN and goes on
   * reading. `close` closes in the mode once everything written is in the kernel, as `destroySoon()` does.
   * Default half-close.
   */
  onEnd: oneOf('half-close', 'close').default('half-close'),
})

/** Checked and complete. */
export type CloseLimits = OutputOf<typeof closeLimits>
