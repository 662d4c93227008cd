import { isAccepted } from '../../node/accepted'
import type { StreamLike } from '../../node/descriptor-stream'
import { isBeingRead } from '../../node/http-connections'
import { connectionState, type ConnectionState } from '../../observe/tcp-info'
import { announce, hazard } from '../../warnings'
import { fallback, type Fallback } from '../fallback'
import { finish } from './fin'
import { hasLinger2, setForgotten } from '../linger2'
import { bytesLost, bytesNotInKernel, discardUnread, isAcknowledged, transferred } from '../pending'
import type { CloseMode, CloseOutcome, Done, Ending } from '../mode'
import { afterTakeOver, takeOver, untilAcknowledged, type Until } from '../take-over'
import { finishedAtEnd, timeWaitOf, type ConnectionEnd } from '../time-wait'
import {
  awaitsTickets,
  closeNotifySize,
  hasRead,
  isTls,
  lacksTicket,
  withoutCloseNotify,
} from '../tls'

/** The same on the wire as `fin`, and the kernel forgets the connection when the FIN is acknowledged. */
export const deliver: CloseMode = {
  name: 'deliver',
  summary: 'data, then FIN; the kernel drops the connection once that is acknowledged',
  atOnce: false,
  withoutShutdown: 'notify',
  holdsLastWrite: true,
  inherited: true,
  keepsTimeWait: false,
  holdsDescriptor: false,
  onDescriptor: { resets: false, forgets: true },
  close: closeAndForget,
  warn(_, fd, { requireTimestamps }) {
    const { state, timestamps } = connectionState(fd)
    if (!requireTimestamps || state !== 'ESTABLISHED' || timestamps) return
    hazard(
      'SOCKET_TUNER_DELIVER_FALLBACK',
      'timestamps',
      "'deliver' would fall back to 'fin': no TCP timestamps",
    )
  },
}

/**
 * The longest wait for a first session ticket. A lost one is sent again within this time, twice on most networks.
 * With a server that sends no tickets, which is rare, every close waits this long.
 */
const TICKET_WAIT_MS = 1_000

/**
 * Makes close() send the queued data and the FIN, and the kernel drop the connection when the FIN is acknowledged:
 * TCP_LINGER2 below 0 (tcp(7)). No shutdown() may precede it: the peer's FIN could arrive in between, and the socket
 * would already be in TIME_WAIT.
 *
 * One system call reports everything that matters: whether timestamps protect the next connection on these ports, whether
 * input is unread, and who closed first.
 */
function closeAndForget(ending: Ending, done: Done): void {
  const { policy, fd, streamEnded } = ending
  const { socket } = policy
  if (isKnownToBeSafe(ending)) {
    const timeWait = streamEnded ? 'peer' : 'avoided'
    const discardedBytes = bytesNotInKernel(socket)
    done({ mode: 'deliver', discardedBytes, unreadBytes: 0, timeWait })
    return
  }
  const connection = connectionState(fd)
  const discardedBytes = bytesLost(socket, connection)
  const refusal = arm(ending, connection)
  if (refusal !== undefined) {
    finish(ending, connection, done, refusal)
    return
  }
  const discarded = discardUnread(fd, socket, connection)
  const { state, notTcp } = connection
  const finished = finishedAtEnd(fd, connection, transferred(socket, discarded), ending.finOrder)
  const { peerFinished, finOrder } = finished
  const end = { state, notTcp, peerFinished, finOrder, streamEnded }
  const unreadBytes = withoutCloseNotify(discarded, closeNotifySize(socket), finished.peerFinished)
  const until = untilSafe(ending, connection, discarded)
  if (until !== undefined) {
    const copy = takeOver(ending, until, (rest) => {
      done(afterTakeOver(outcomeOf(rest.end, discardedBytes, rest.unreadBytes), rest))
    })
    if (copy >= 0) return
  }
  done(outcomeOf(end, discardedBytes, unreadBytes))
}

/** The condition that must hold before close(2); undefined if it holds now. */
function untilSafe(
  { policy, fd }: Ending,
  connection: ConnectionState,
  discarded: number,
): Until | undefined {
  const { socket } = policy
  const hasEnded = isOver(connection.state)
  if (!isTls(socket)) {
    return hasEnded ? undefined : untilAcknowledged(policy, fd, connection, discarded)
  }
  if (policy.held || !awaitsTickets(socket)) return undefined
  const condition = isSafe(discarded === 0 && !hasEnded && lacksTicket(socket))
  return condition(fd, 0) ? undefined : { condition, discarded }
}

/** Whether the socket inherited TCP_LINGER2, and needs no system call before close(2). */
function isKnownToBeSafe({ policy, finOrder }: Ending): boolean {
  const { armed, socket } = policy
  const { requireTimestamps, requirePeerData } = policy.options
  if (!armed || requireTimestamps || finOrder !== undefined || !isBeingRead(socket)) return false
  return !requirePeerData || hasRead(socket)
}

/** After end(), the FIN has been sent, and the connection may already be in TIME_WAIT. */
function outcomeOf(end: ConnectionEnd, discardedBytes: number, unreadBytes: number): CloseOutcome {
  const timeWait = timeWaitOf(end, 'forgetting')
  const wasOver = end.state === 'CLOSE'
  if (timeWait !== 'here')
    return { mode: 'deliver', discardedBytes, unreadBytes, timeWait, wasOver }
  const why = fallback('ended', 'end() had already sent the FIN')
  return { mode: 'fin', fallback: why, discardedBytes, unreadBytes, timeWait, wasOver }
}

/**
 * Returns the condition for a TLS 1.3 client to close: everything is acknowledged and, if a ticket is expected,
 * input has come or the wait is over.
 */
function isSafe(ticket: boolean): (fd: number, bytesCome: number) => boolean {
  const since = performance.now()
  return (fd, bytesCome) => {
    if (!isAcknowledged(fd)) return false
    return !ticket || bytesCome > 0 || performance.now() - since > TICKET_WAIT_MS
  }
}

/** Sets TCP_LINGER2, or returns the reason not to. */
function arm({ policy, fd }: Ending, connection: ConnectionState): Fallback | undefined {
  if (!hasLinger2) {
    const why = `${process.platform} has no TCP_LINGER2`
    announce(
      'SOCKET_TUNER_DELIVER_UNSUPPORTED',
      process.platform,
      `Closed with 'fin' instead of 'deliver': ${why}`,
    )
    return fallback('unsupported', why)
  }
  if (connection.notTcp) {
    return fallback('not-tcp', 'not a TCP socket: there is no TIME_WAIT to avoid')
  }
  if (isOver(connection.state)) return undefined
  if (policy.options.requireTimestamps && !connection.timestamps) {
    announce(
      'SOCKET_TUNER_DELIVER_FALLBACK',
      'timestamps',
      "Closed with 'fin' instead of 'deliver', leaving TIME_WAIT for 60 s: the connection has no TCP timestamps, " +
        'so a delayed segment of it could enter the next connection on the same ports',
    )
    return fallback('no-timestamps', 'TCP timestamps were not negotiated')
  }
  if (policy.options.requirePeerData && isSilent(policy.socket, connection)) {
    announce(
      'SOCKET_TUNER_DELIVER_FALLBACK',
      'silent-peer',
      "Closed with 'fin' instead of 'deliver', leaving TIME_WAIT for 60 s: the peer has sent nothing, " +
        "so its connect() may still be under way, and 'deliver' would make it fail",
    )
    return fallback('silent-peer', 'the peer had sent nothing')
  }
  if (policy.armed) return undefined
  const error = setForgotten(fd, true)
  return error < 0
    ? fallback('refused', `TCP_LINGER2 was refused (errno ${String(-error)})`)
    : undefined
}

/**
 * Whether a peer that connected to us has sent nothing. Its program may not have noticed that connect() is complete. When
 * it does, it reads SO_ERROR, finds the EPIPE that the RST after the FIN leaves there, and never reads what was sent to
 * it. Data in a SYN (TCP Fast Open) proves nothing, since connect() sends it.
 */
function isSilent(
  socket: StreamLike,
  { bytesReceived, synData, dataSegsIn }: ConnectionState,
): boolean {
  if (!isAccepted(socket)) return false
  return bytesReceived === 0 || (synData && dataSegsIn === 1)
}

/** Whether a close in this state leaves no TIME_WAIT here, whatever the options are. */
function isOver(state: ConnectionState['state']): boolean {
  return state === 'CLOSE' || state === 'CLOSE_WAIT' || state === 'LAST_ACK' || state === 'SYN_SENT'
}
