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
   * On TLS, whether close_notify (RFC 8446 section 6.1) goes out before the FIN, so that the peer can
   * tell an end from a truncation. Default true.
   */
  closeNotify?: boolean | undefined
  /** Deadline, ms, of a lingering close, and of closeSocket in any mode. Default 30 000. */
  timeoutMs?: number | undefined
  /** A lingering close also ends when the peer sends nothing for so long, ms. Default 5 000. */
  idleTimeoutMs?: number | undefined
}

const MAX_TIMEOUT_MS = 2 ** 31 - 1

/** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE */
export function policyOptions(mode: unknown, options: CloseModeOptions = {}): PolicyOptions {
  checkMode(mode)
  checkObject('options', options)
  const {
    requireTimestamps = true,
    closeNotify = true,
    timeoutMs = 30_000,
    idleTimeoutMs = 5_000,
  } = options
  checkBoolean('options.requireTimestamps', requireTimestamps)
  checkBoolean('options.closeNotify', closeNotify)
  checkWhole('options.timeoutMs', timeoutMs, 1, MAX_TIMEOUT_MS)
  checkWhole('options.idleTimeoutMs', idleTimeoutMs, 1, MAX_TIMEOUT_MS)
  return { mode, requireTimestamps, closeNotify, timeoutMs, idleTimeoutMs }
}

function checkMode(mode: unknown): asserts mode is CloseMode {
  if (closeModes.includes(mode as CloseMode)) return
  throw new ArgumentValueError('mode', `must be one of: '${closeModes.join("', '")}'`, mode)
}
