import { native } from '../binding'
import { connectionState, type ConnectionState } from '../observe/tcp-info'
import { bytesNotInKernel, discardUnread, isAcknowledged } from './pending'
import type { ClosePolicy, Done } from './policy'
import { timeWaitOf } from './report'
import { takeOver } from './take-over'
import { awaitsTickets } from './tls'

/** Lets close() send a FIN after everything that is in the kernel. */
export function closeWithFin(policy: ClosePolicy, fd: number, done: Done): void {
  finish(policy, fd, connectionState(fd), done)
}

/** The same for a connection whose state was asked for already. */
export function finish(
  policy: ClosePolicy,
  fd: number,
  connection: ConnectionState,
  done: Done,
  fallback?: string,
): void {
  const { socket } = policy
  const outcome = {
    mode: 'fin' as const,
    ...(fallback === undefined ? {} : { fallback }),
    discardedBytes: bytesNotInKernel(socket),
    unreadBytes: discardUnread(fd, socket, connection),
    timeWait: timeWaitOf(connection.state, false),
  }
  if (awaitsTickets(socket) && !isAcknowledged(fd)) {
    const copy = takeOver(fd, policy, { condition: isAcknowledged }, ({ unreadBytes }) => {
      done({ ...outcome, unreadBytes: outcome.unreadBytes + unreadBytes })
    })
    native.shutdownWrite(fd)
    if (copy >= 0) return
  }
  done(outcome)
}
