import { native } from '../../kernel/binding'
import { connectionState, type ConnectionState } from '../../observe/tcp-info'
import type { Fallback } from '../fallback'
import { disarm } from '../linger2'
import { bytesLost, discardUnread, transferred } from '../pending'
import type { CloseMode, CloseOutcome, Done, Ending } from '../mode'
import { afterTakeOver, takeOver, untilAcknowledged, type Until } from '../take-over'
import { finOrderIn, finishedAtEnd, timeWaitOf, type TimeWait } from '../time-wait'
import { closeNotifySize, isTls, withoutCloseNotify } from '../tls'

/** A FIN after everything that was written. */
export const fin: CloseMode = {
  name: 'fin',
  summary: 'data, then FIN; TIME_WAIT stays with the side that closes first',
  atOnce: false,
  withoutShutdown: false,
  holdsLastWrite: false,
  inherited: false,
  keepsTimeWait: true,
  holdsDescriptor: false,
  onDescriptor: { resets: false, forgets: false },
  close: closeWithFin,
}

/** Lets close() send a FIN after everything in the kernel. */
export function closeWithFin(ending: Ending, done: Done): void {
  finish(ending, connectionState(ending.fd), done)
}

/** The same for a connection whose state is known. */
export function finish(
  ending: Ending,
  connection: ConnectionState,
  done: Done,
  fallback?: Fallback,
): void {
  const { policy, fd, streamEnded } = ending
  const { socket } = policy
  disarm(policy, fd)
  const discardedBytes = bytesLost(socket, connection)
  const discarded = discardUnread(fd, socket, connection)
  const finished = finishedAtEnd(fd, connection, transferred(socket, discarded), ending.finOrder)
  const { state, notTcp } = connection
  const outcomeOf = (unreadBytes: number, timeWait: TimeWait): CloseOutcome => {
    const wasOver = state === 'CLOSE'
    const outcome = { mode: 'fin', discardedBytes, unreadBytes, timeWait, wasOver }
    return fallback === undefined ? outcome : { ...outcome, fallback }
  }
  const until = isOpen(connection) ? untilDelivered(ending, connection, discarded) : undefined
  if (until !== undefined) {
    const finOrder = ending.finOrder ?? finOrderIn(connection.state)
    const copy = takeOver({ ...ending, finOrder }, until, (rest) => {
      const { unreadBytes } = rest
      done(afterTakeOver(outcomeOf(unreadBytes, timeWaitOf(rest.end, 'fin')), rest))
    })
    native.shutdownWrite(fd)
    if (copy >= 0) return
  }
  const { peerFinished, finOrder } = finished
  const end = { state, notTcp, peerFinished, finOrder, streamEnded }
  const unreadBytes = withoutCloseNotify(discarded, closeNotifySize(socket), peerFinished)
  done(outcomeOf(unreadBytes, timeWaitOf(end, 'fin')))
}

/**
 * The condition that must hold before close(2). A TLS peer sends tickets after the handshake, and its close_notify in
 * answer to ours. A plain peer may send anything.
 */
function untilDelivered(
  { policy, fd }: Ending,
  connection: ConnectionState,
  discarded: number,
): Until | undefined {
  if (isTls(policy.socket)) return { idleMs: policy.options.idleMs, discarded }
  return untilAcknowledged(policy, fd, connection, discarded)
}

function isOpen({ state }: ConnectionState): boolean {
  return state === 'ESTABLISHED' || state === 'FIN_WAIT1' || state === 'FIN_WAIT2'
}
