import { native } from '../binding'
import { connectionState, type ConnectionState } from '../observe/tcp-info'
import { disarm } from './linger2'
import { bytesLost, discardUnread } from './pending'
import type { ClosePolicy, Done } from './policy'
import { timeWaitOf } from './report'
import { afterTakeOver, takeOver } from './take-over'
import { isTls } from './tls'

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
  disarm(policy, fd)
  const outcome = {
    mode: 'fin' as const,
    ...(fallback === undefined ? {} : { fallback }),
    discardedBytes: bytesLost(socket, connection),
    wasOver: connection.state === 'CLOSE',
    unreadBytes: discardUnread(fd, socket, connection),
    timeWait: connection.notTcp ? ('avoided' as const) : timeWaitOf(connection.state, false),
  }
  const open =
    connection.state === 'ESTABLISHED' ||
    connection.state === 'FIN_WAIT1' ||
    connection.state === 'FIN_WAIT2'
  // A TLS peer still sends: tickets after the handshake, and its close_notify in answer to ours.
  if (open && isTls(socket)) {
    const { idleTimeoutMs } = policy
    const copy = takeOver(fd, policy, { idleTimeoutMs }, (rest) => {
      done(afterTakeOver({ ...outcome, unreadBytes: outcome.unreadBytes + rest.unreadBytes }, rest))
    })
    native.shutdownWrite(fd)
    if (copy >= 0) return
  }
  done(outcome)
}
