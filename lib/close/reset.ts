import { native } from '../binding'
import { words } from '../options/codec'
import { connectionState, type TcpState } from '../observe/tcp-info'
import { announce } from '../warnings'
import type { ClosePolicy, Done } from './policy'
import { bytesNotInKernel } from './pending'
import { timeWaitOf, type CloseOutcome } from './report'

const ON_AT_ONCE = words(1, 0)

/**
 * Makes close() send a RST (SO_LINGER with 0 s) and counts what it throws away. The kernel does so
 * also while a shutdown is under way, where libuv's own reset refuses.
 */
export function closeWithReset({ socket }: ClosePolicy, fd: number, done: Done): void {
  const { state, timestamps, retransmits } = connectionState(fd)
  const unreadBytes = Math.max(0, native.unreadBytes(fd))
  const error = setResetOnClose(fd)
  // Last of all, since the peer goes on acknowledging, and the kernel sending, until close().
  const sendable = native.unsentBytes(fd)
  const queued = Math.max(0, native.unacknowledgedBytes(fd))
  // Where the platform does not tell what was sent, all of it counts as lost.
  const unsent = sendable < 0 ? queued : sendable
  const underWay = Math.max(0, queued - unsent - finIn(state, queued))
  // Where the kernel sends again and gets no answer, nothing has arrived.
  const inFlightBytes = retransmits > 0 ? 0 : underWay
  const discardedBytes = bytesNotInKernel(socket) + unsent + underWay - inFlightBytes
  tell(discardedBytes, inFlightBytes, state === 'ESTABLISHED' && !timestamps)
  const outcome: CloseOutcome = {
    mode: 'reset',
    discardedBytes,
    inFlightBytes,
    unreadBytes,
    timeWait: afterReset(state),
  }
  done(
    error < 0
      ? { ...outcome, mode: 'fin', fallback: `SO_LINGER was refused (errno ${String(-error)})` }
      : outcome,
  )
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

/** The FIN takes a sequence number and so counts as one unacknowledged byte. */
function finIn(state: TcpState | undefined, queued: number): number {
  return queued > 0 && (state === 'FIN_WAIT1' || state === 'CLOSING' || state === 'LAST_ACK')
    ? 1
    : 0
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
