/** What a close may be told beside its mode. */
import { boolean, spec, whole, type OutputOf } from '../spec'

const MAX_TIMEOUT_MS = 2 ** 31 - 1
/** As many descriptors as a process can have (fs.nr_open by default). */
const MAX_LINGERING = 2 ** 20

/** Beside the mode. */
export const closeLimits = spec({
  /**
   * `deliver` uses `fin` on a connection without TCP timestamps, where a delayed segment could enter
   * the next connection on the same ports. Default true. False also saves the system call per
   * connection that finds out.
   */
  requireTimestamps: boolean().default(true),
  /**
   * `deliver` uses `fin` on an accepted connection whose peer has sent nothing yet: its program may not
   * have noticed that its connect() is complete, and then gets EPIPE from it in place of the data.
   * Default true.
   */
  requirePeerData: boolean().default(true),
  /**
   * On TLS, whether close_notify (RFC 8446 section 6.1) goes out before the FIN, so that the peer can
   * tell an end from a truncation. Default true.
   */
  closeNotify: boolean().default(true),
  /** Deadline, ms, of a lingering close, and of closeSocket in any mode. Default 30 000. */
  deadlineMs: whole(1, MAX_TIMEOUT_MS).default(30_000),
  /** A lingering close also ends when the peer sends nothing for so long, ms. Default 5 000. */
  idleMs: whole(1, MAX_TIMEOUT_MS).default(5_000),
  /** And when it has thrown away more than so many bytes. Default 1 GiB (2^30). */
  maxDiscardBytes: whole(0, Number.MAX_SAFE_INTEGER).default(2 ** 30),
  /**
   * At most so many connections linger at once, of one server, or of all sockets that have the mode by
   * themselves: the one that has lingered longest is ended when another comes. Each holds a
   * descriptor. Default 1,000.
   */
  maxLingering: whole(1, MAX_LINGERING).default(1_000),
})

/** Checked and complete. */
export type CloseLimits = OutputOf<typeof closeLimits>
