import { native } from '../binding'
import { words } from '../options/codec'
import { connectionState, type TcpState } from '../observe/tcp-info'
import { announce } from '../warnings'
import type { ClosePolicy, Done } from './policy'
import { bytesNotInKernel } from './pending'
import { timeWaitOf, type CloseOutcome } from './report'

const ON_AT_ONCE = words(1, 0)

/** What a reset of a connected descriptor throws away. */
export interface ResetCost {
  /** Queued and never sent. */
  readonly discardedBytes: number
  /** Sent, and left to chance. */
  readonly inFlightBytes: number
  readonly unreadBytes: number
  readonly timeWait: CloseOutcome['timeWait']
  /** Why close() will not send a RST. */
  readonly fallback?: string
}

/**
 * Makes close() send a RST (SO_LINGER with 0 s) and counts what it throws away. The kernel does so
 * also while a shutdown is under way, where libuv's own reset refuses.
 */
export function closeWithReset({ socket }: ClosePolicy, fd: number, done: Done): void {
  const cost = armReset(fd, bytesNotInKernel(socket))
  done({ mode: cost.fallback === undefined ? 'reset' : 'fin', ...cost })
}

/** The same for a descriptor; `pending` bytes more had not come to the kernel. */
export function armReset(fd: number, pending: number): ResetCost {
  const { state, notTcp, timestamps } = connectionState(fd)
  const unreadBytes = Math.max(0, native.unreadBytes(fd))
  if (notTcp) {
    const fallback = 'not a TCP socket: there is no reset'
    return { discardedBytes: pending, inFlightBytes: 0, unreadBytes, timeWait: 'avoided', fallback }
  }
  const error = setResetOnClose(fd)
  // Last of all, since the peer goes on acknowledging, and the kernel sending, until close().
  const unsent = native.unsentBytes(fd)
  const queued = native.unacknowledgedBytes(fd)
  // What is being sent again may have arrived: it is the answer that is missing.
  const { sendable, underWay: inFlightBytes } = withoutFin(state, unsent, queued)
  const discardedBytes = pending + sendable
  tell(discardedBytes, inFlightBytes, state === 'ESTABLISHED' && !timestamps)
  const timeWait = afterReset(state)
  return {
    discardedBytes,
    inFlightBytes,
    unreadBytes,
    timeWait,
    ...(error < 0 ? { fallback: `SO_LINGER was refused (errno ${String(-error)})` } : {}),
  }
}

function tell(discarded: number, inFlight: number, unprotected: boolean): void {
  if (discarded + inFlight > 0) {
    announce(
      'SOCKET_TUNER_RESET_DISCARDS',
      'reset',
      `A reset threw away ${String(discarded)} bytes that had not been sent, ` +
        `and leaves it to chance whether ${String(inFlight)} more arrive`,
    )
  }
  if (unprotected) {
    announce(
      'SOCKET_TUNER_RESET_WITHOUT_TIMESTAMPS',
      'reset',
      'Reset a connection without TCP timestamps: a delayed segment of it could enter the next connection on the same ports',
    )
  }
}

/**
 * Splits the send queue. The FIN takes a sequence number and counts as one byte, unsent while data
 * is. Where the platform does not tell what was sent (a negative number), all counts as unsent.
 */
function withoutFin(
  state: TcpState | undefined,
  unsent: number,
  queued: number,
): { sendable: number; underWay: number } {
  const all = Math.max(0, queued)
  const waiting = unsent < 0 ? all : Math.min(unsent, all)
  const hasFin = state === 'FIN_WAIT1' || state === 'CLOSING' || state === 'LAST_ACK'
  const fin = hasFin && all > 0 ? 1 : 0
  return waiting > 0
    ? { sendable: waiting - fin, underWay: all - waiting }
    : { sendable: 0, underWay: all - fin }
}

function afterReset(state: TcpState | undefined): CloseOutcome['timeWait'] {
  return state === 'CLOSING' || state === 'CLOSE_WAIT' ? 'avoided' : timeWaitOf(state, true)
}

/** SO_LINGER {1, 0}; 0 or the negated errno. */
function setResetOnClose(fd: number): number {
  const { SOL_SOCKET, SO_LINGER } = native.constants
  if (SOL_SOCKET === undefined || SO_LINGER === undefined) return 0
  return native.setBytes(fd, SOL_SOCKET, SO_LINGER, ON_AT_ONCE)
}
