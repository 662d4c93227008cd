/** The outcomes of closes in which no mode acts: those by Node, and those without a descriptor. */
import type * as net from 'node:net'
import { native } from '../kernel/binding'
import { closeWithoutReset, isResetting } from '../node/closing'
import { transportFd } from '../node/handle'
import { connectionState } from '../observe/tcp-info'
import { fallback } from './fallback'
import type { CloseOutcome, ClosePolicy } from './mode'
import type { Closed } from './modes'
import { hasPeerEnded } from './on-end'
import { bytesNotInKernel, transferred } from './pending'
import { setResetOnClose } from './reset-cost'
import { finishedAtEnd, timeWaitOf, type FinOrder } from './time-wait'

/**
 * The outcome of a close without a policy, which is only observed. The exception is resetAndDestroy() while a shutdown is
 * under way. libuv refuses it, and Node would send no RST, leave the descriptor open for ever and emit no 'close'.
 */
export function closedByNode(carrier: net.Socket, finOrder: FinOrder | undefined): Closed {
  const discardedBytes = bytesNotInKernel(carrier)
  const fd = transportFd(carrier)
  const isReset = isResetting(carrier)
  if (fd < 0) {
    const timeWait = isReset || carrier.pending ? 'avoided' : 'unknown'
    const mode = isReset ? 'reset' : 'fin'
    return { mode, discardedBytes, unreadBytes: 0, timeWait, byNode: true }
  }
  if (isReset) {
    closeWithoutReset(carrier)
    setResetOnClose(fd)
  }
  const state = connectionState(fd)
  const unreadBytes = Math.max(0, native.unreadBytes(fd))
  // close() with unread input sends a RST: RFC 2525 section 2.17.
  const by = isReset || unreadBytes > 0 ? 'reset' : 'fin'
  const finished = finishedAtEnd(fd, state, transferred(carrier, 0), finOrder)
  const timeWait = timeWaitOf({ ...state, ...finished, streamEnded: hasPeerEnded(carrier) }, by)
  return { mode: by, discardedBytes, unreadBytes, timeWait, byNode: true }
}

/** For a socket without a descriptor: one that is not open yet, that runs over another stream, or on Windows. */
export function closedWithoutDescriptor(
  carrier: net.Socket,
  { socket, options }: ClosePolicy,
): CloseOutcome {
  const rest = { discardedBytes: bytesNotInKernel(socket), unreadBytes: 0 }
  if (isResetting(carrier)) return { mode: 'reset', timeWait: 'avoided', ...rest }
  if (socket.pending) {
    const why = fallback('not-connected', 'the socket was not connected')
    return { mode: options.mode.name, fallback: why, timeWait: 'avoided', ...rest }
  }
  return lostDescriptor(rest.discardedBytes)
}

/** The outcome of a close about which the kernel can report nothing. */
export function lostDescriptor(
  discardedBytes: number,
  cause = fallback('no-descriptor', 'the socket has no descriptor'),
): CloseOutcome {
  return { mode: 'fin', fallback: cause, timeWait: 'unknown', discardedBytes, unreadBytes: 0 }
}
