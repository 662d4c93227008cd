import { native } from '../../kernel/binding'
import { connectionState, type ConnectionState } from '../../observe/tcp-info'
import type { Fallback } from '../fallback'
import { disarm } from '../linger2'
import { bytesLost, discardUnread, readBytes } from '../pending'
import type { CloseMode, Done, Ending } from '../mode'
import { afterTakeOver, takeOver } from '../take-over'
import { finOrderIn, hasPeerFinished, timeWaitOf } from '../time-wait'
import { closeNotifySize, isTls, withoutCloseNotify } from '../tls'

/** A FIN after everything that was written. */
export const fin: CloseMode = {
  name: 'fin',
  summary: 'data, then FIN; TIME_WAIT stays with the side that closes first',
  atOnce: false,
  withoutShutdown: false,
  inherited: false,
  keepsTimeWait: true,
  holdsDescriptor: false,
  onDescriptor: { resets: false, forgets: false },
  close: closeWithFin,
}

/** Lets close() send a FIN after everything that is in the kernel. */
export function closeWithFin(ending: Ending, done: Done): void {
  finish(ending, connectionState(ending.fd), done)
}

/** The same for a connection whose state is known already. */
export function finish(
  ending: Ending,
  connection: ConnectionState,
  done: Done,
  fallback?: Fallback,
): void {
  const { policy, fd } = ending
  const { socket } = policy
  const streamEnded = socket.readableEnded
  disarm(policy, fd)
  const discardedBytes = bytesLost(socket, connection)
  const discarded = discardUnread(fd, socket, connection)
  const peerFinished = hasPeerFinished(fd, connection, readBytes(socket, discarded))
  const outcome = {
    mode: 'fin' as const,
    ...(fallback === undefined ? {} : { fallback }),
    discardedBytes,
    wasOver: connection.state === 'CLOSE',
  }
  // A TLS peer still sends: tickets after the handshake, and its close_notify in answer to ours.
  if (isOpen(connection) && isTls(socket)) {
    const { idleMs } = policy
    const finOrder = ending.finOrder ?? finOrderIn(connection.state)
    const copy = takeOver(ending, { idleMs, discarded }, (rest) => {
      const { unreadBytes } = rest
      const timeWait = timeWaitOf({ ...rest.end, finOrder, streamEnded }, 'fin')
      done(afterTakeOver({ ...outcome, unreadBytes, timeWait }, rest))
    })
    native.shutdownWrite(fd)
    if (copy >= 0) return
  }
  const end = { ...connection, finOrder: ending.finOrder, peerFinished, streamEnded }
  const unreadBytes = withoutCloseNotify(discarded, closeNotifySize(socket), peerFinished)
  done({ ...outcome, unreadBytes, timeWait: timeWaitOf(end, 'fin') })
}

function isOpen({ state }: ConnectionState): boolean {
  return state === 'ESTABLISHED' || state === 'FIN_WAIT1' || state === 'FIN_WAIT2'
}
