/** What callers may say of a close, checked, with defaults. */
import { ArgumentValueError, checkBoolean, checkObject, checkWhole } from '../errors'
import type { PolicyOptions } from './policy'
import { closeModes, type CloseMode } from './report'

/** Options of a standing policy. */
export interface CloseModeOptions {
  /**
   * `deliver` uses `fin` on a connection without TCP timestamps, where a delayed segment could enter
   * the next connection on the same ports. Default true. False also saves the system call per
   * connection that finds out.
   */
  requireTimestamps?: boolean | undefined
  /**
   * `deliver` uses `fin` on an accepted connection whose peer has sent nothing yet: its program may not
   * have noticed that its connect() is complete, and then gets EPIPE from it in place of the data.
   * Default true.
   */
  requirePeerData?: boolean | undefined
  /**
   * On TLS, whether close_notify (RFC 8446 section 6.1) goes out before the FIN, so that the peer can
   * tell an end from a truncation. Default true.
   */
  closeNotify?: boolean | undefined
  /** Deadline, ms, of a lingering close, and of closeSocket in any mode. Default 30 000. */
  timeoutMs?: number | undefined
  /** A lingering close also ends when the peer sends nothing for so long, ms. Default 5 000. */
  idleTimeoutMs?: number | undefined
  /** And when it has thrown away more than so many bytes. Default 1 GiB (2^30). */
  maxDiscardBytes?: number | undefined
  /**
   * At most so many connections linger at once, of one server, or of all sockets that have the mode by
   * themselves: the one that has lingered longest is ended when another comes. Each holds a
   * descriptor. Default 1,000.
   */
  maxLingering?: number | undefined
}

/** Their names, for callers that take them among others. */
export const closeModeOptionNames = [
  'requireTimestamps',
  'requirePeerData',
  'closeNotify',
  'timeoutMs',
  'idleTimeoutMs',
  'maxDiscardBytes',
  'maxLingering',
] as const satisfies readonly (keyof CloseModeOptions)[]

const MAX_TIMEOUT_MS = 2 ** 31 - 1
/** As many descriptors as a process can have (fs.nr_open by default). */
const MAX_LINGERING = 2 ** 20

/**
 * @param argument what messages call the mode
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE
 */
export function policyOptions(
  mode: unknown,
  options: CloseModeOptions = {},
  argument = 'options.closeMode',
): PolicyOptions {
  checkMode(argument, mode)
  checkObject('options', options)
  const {
    requireTimestamps = true,
    requirePeerData = true,
    closeNotify = true,
    timeoutMs = 30_000,
    idleTimeoutMs = 5_000,
    maxDiscardBytes = 2 ** 30,
    maxLingering = 1_000,
  } = options
  checkBoolean('options.requireTimestamps', requireTimestamps)
  checkBoolean('options.requirePeerData', requirePeerData)
  checkBoolean('options.closeNotify', closeNotify)
  checkWhole('options.timeoutMs', timeoutMs, 1, MAX_TIMEOUT_MS)
  checkWhole('options.idleTimeoutMs', idleTimeoutMs, 1, MAX_TIMEOUT_MS)
  checkWhole('options.maxDiscardBytes', maxDiscardBytes, 0, Number.MAX_SAFE_INTEGER)
  checkWhole('options.maxLingering', maxLingering, 1, MAX_LINGERING)
  const limits = { timeoutMs, idleTimeoutMs, maxDiscardBytes, maxLingering }
  return { mode, requireTimestamps, requirePeerData, closeNotify, ...limits }
}

function checkMode(argument: string, mode: unknown): asserts mode is CloseMode {
  if (closeModes.includes(mode as CloseMode)) return
  throw new ArgumentValueError(argument, `must be one of: '${closeModes.join("', '")}'`, mode)
}
