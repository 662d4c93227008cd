import { connectionState } from '../observe/tcp-info'
import type { ClosePolicy } from './policy'
import { bytesNotInKernel, discardUnread } from './pending'
import { timeWaitOf, type CloseOutcome } from './report'

/** Lets close() send a FIN after everything that is in the kernel. */
export function closeWithFin({ socket }: ClosePolicy, fd: number): CloseOutcome {
  const connection = connectionState(fd)
  return {
    mode: 'fin',
    discardedBytes: bytesNotInKernel(socket),
    unreadBytes: discardUnread(fd, socket, connection),
    timeWait: timeWaitOf(connection.state, false),
  }
}
