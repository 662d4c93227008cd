/** What callers may say of a close. */
import { boolean, oneOf, spec, whole, type InputOf, type OutputOf } from '../spec'
import { closeModes, type CloseMode } from './report'

const MAX_TIMEOUT_MS = 2 ** 31 - 1
/** As many descriptors as a process can have (fs.nr_open by default). */
const MAX_LINGERING = 2 ** 20

/** Options of a standing policy. */
export const closeModeOptions = spec({
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
  timeoutMs: whole(1, MAX_TIMEOUT_MS).default(30_000),
  /** A lingering close also ends when the peer sends nothing for so long, ms. Default 5 000. */
  idleTimeoutMs: whole(1, MAX_TIMEOUT_MS).default(5_000),
  /** And when it has thrown away more than so many bytes. Default 1 GiB (2^30). */
  maxDiscardBytes: whole(0, Number.MAX_SAFE_INTEGER).default(2 ** 30),
  /**
   * At most so many connections linger at once, of one server, or of all sockets that have the mode by
   * themselves: the one that has lingered longest is ended when another comes. Each holds a
   * descriptor. Default 1,000.
   */
  maxLingering: whole(1, MAX_LINGERING).default(1_000),
})

/** Options of a standing policy. */
export type CloseModeOptions = InputOf<typeof closeModeOptions>

export const closeMode = oneOf(...closeModes)

/** A standing mode and its options, for bags that have them among others. */
export const standingClose = {
  ...closeModeOptions.fields,
  /** What destroy() and destroySoon() of the socket, or of accepted sockets, do: see `setCloseMode`. */
  closeMode,
}

type Checked = OutputOf<typeof closeModeOptions>

/** The part of a policy that the caller sets. */
export type PolicyOptions = Checked & { readonly mode: CloseMode }

/** The standing policy that a checked bag asks for; undefined for Node's own close. */
export function standingPolicy(
  checked: Checked & { readonly closeMode: CloseMode | undefined },
): PolicyOptions | undefined {
  return checked.closeMode === undefined ? undefined : policyIn(checked.closeMode, checked)
}

/** The policy that a bag with more than a policy's options asks for. */
export function policyIn(mode: CloseMode, checked: Checked): PolicyOptions {
  const { requireTimestamps, requirePeerData, closeNotify } = checked
  const { timeoutMs, idleTimeoutMs, maxDiscardBytes, maxLingering } = checked
  const limits = { timeoutMs, idleTimeoutMs, maxDiscardBytes, maxLingering }
  return { mode, requireTimestamps, requirePeerData, closeNotify, ...limits }
}
