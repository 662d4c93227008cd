import type * as net from 'node:net'
import { isAccepted } from '../../node/accepted'
import { isBeingRead } from '../../node/http-connections'
import { connectionState, type ConnectionState } from '../../observe/tcp-info'
import { announce, hazard } from '../../warnings'
import { fallback, type Fallback } from '../fallback'
import { finish } from './fin'
import { hasLinger2, setForgotten } from '../linger2'
import { bytesLost, bytesNotInKernel, discardUnread, isAcknowledged, readBytes } from '../pending'
import type { CloseMode, CloseOutcome, Done, Ending } from '../mode'
import { afterTakeOver, takeOver } from '../take-over'
import { hasPeerFinished, timeWaitOf, type ConnectionEnd } from '../time-wait'
import { awaitsTickets, closeNotifySize, hasRead, lacksTicket, withoutCloseNotify } from '../tls'

/** The same on the wire as `fin`, and the kernel forgets the connection when the FIN is acknowledged. */
export const deliver: CloseMode = {
  name: 'deliver',
  summary: 'data, then FIN; forgotten as soon as it is acknowledged',
  atOnce: false,
  withoutShutdown: 'notify',
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
 * A first session ticket is waited for so long: one that is lost on the way is sent again within that time,
 * twice on most networks. A server that sends none, which is rare, costs as much.
 */
const TICKET_WAIT_MS = 1_000

/**
 * Makes close() send what is queued and the FIN, and the kernel drop the connection when the FIN is
 * acknowledged: TCP_LINGER2 below 0 (tcp(7)). There must be no shutdown() before: the peer's FIN
 * could come in between, and the socket would be in TIME_WAIT already.
 *
 * One system call tells all that has to be known: whether timestamps protect the next connection
 * on these ports, whether there is unread input, and who closed first.
 */
function closeAndForget(ending: Ending, done: Done): void {
  const { policy, fd, finOrder } = ending
  const { socket } = policy
  if (isKnownToBeSafe(ending)) {
    const timeWait = socket.readableEnded ? 'peer' : 'avoided'
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
  const streamEnded = socket.readableEnded
  const peerFinished = hasPeerFinished(fd, connection, readBytes(socket, discarded))
  const outcome = outcomeOf({ ...connection, finOrder, peerFinished, streamEnded }, discardedBytes)
  const unreadBytes = withoutCloseNotify(discarded, closeNotifySize(socket), peerFinished)
  if (policy.held !== true && awaitsTickets(socket)) {
    const ticket = discarded === 0 && !isOver(connection.state) && lacksTicket(socket)
    const condition = isSafe(ticket)
    if (!condition(fd, 0)) {
      const copy = takeOver(ending, { condition, discarded }, (rest) => {
        const end = { ...rest.end, finOrder, streamEnded }
        done(
          afterTakeOver({ ...outcomeOf(end, discardedBytes), unreadBytes: rest.unreadBytes }, rest),
        )
      })
      if (copy >= 0) return
    }
  }
  done({ ...outcome, unreadBytes })
}

/** Whether the listening socket has set TCP_LINGER2, and nothing has to be asked of the kernel. */
function isKnownToBeSafe({ policy, finOrder }: Ending): boolean {
  const { armed, requireTimestamps, requirePeerData, socket } = policy
  if (!armed || requireTimestamps || finOrder !== undefined || !isBeingRead(socket)) return false
  return !requirePeerData || hasRead(socket)
}

/** The FIN may have gone out before, by end(), and the connection be in TIME_WAIT already. */
function outcomeOf(end: ConnectionEnd, discardedBytes: number): CloseOutcome {
  const timeWait = timeWaitOf(end, 'forgetting')
  const rest = { discardedBytes, unreadBytes: 0, timeWait, wasOver: end.state === 'CLOSE' }
  if (timeWait !== 'here') return { mode: 'deliver', ...rest }
  return { mode: 'fin', fallback: fallback('ended', 'end() had sent the FIN before'), ...rest }
}

/**
 * Tells when a TLS 1.3 client can close: all is acknowledged and, where a ticket is to come, something has
 * come or has had its time.
 */
function isSafe(ticket: boolean): (fd: number, bytesCome: number) => boolean {
  const since = performance.now()
  return (fd, bytesCome) => {
    if (!isAcknowledged(fd)) return false
    return !ticket || bytesCome > 0 || performance.now() - since > TICKET_WAIT_MS
  }
}

/** Sets TCP_LINGER2 unless it must not be; returns why it was not. */
function arm({ policy, fd }: Ending, connection: ConnectionState): Fallback | undefined {
  if (!hasLinger2) {
    const why = `${process.platform} has no TCP_LINGER2`
    announce(
      'SOCKET_TUNER_DELIVER_UNSUPPORTED',
      process.platform,
      `Closed with 'fin' in place of 'deliver': ${why}`,
    )
    return fallback('unsupported', why)
  }
  if (connection.notTcp) {
    return fallback('not-tcp', 'not a TCP socket: there is no TIME_WAIT to avoid')
  }
  if (isOver(connection.state)) return undefined
  if (policy.requireTimestamps && !connection.timestamps) {
    announce(
      'SOCKET_TUNER_DELIVER_FALLBACK',
      'timestamps',
      "Closed with 'fin' in place of 'deliver', leaving TIME_WAIT for 60 s: the connection has no TCP timestamps, " +
        'so a delayed segment of it could enter the next connection on the same ports',
    )
    return fallback('no-timestamps', 'TCP timestamps were not negotiated')
  }
  if (policy.requirePeerData && isSilent(policy.socket, connection)) {
    announce(
      'SOCKET_TUNER_DELIVER_FALLBACK',
      'silent-peer',
      "Closed with 'fin' in place of 'deliver', leaving TIME_WAIT for 60 s: the peer has sent nothing, " +
        "so its connect() may be under way still, and would fail by 'deliver'",
    )
    return fallback('silent-peer', 'the peer had sent nothing yet')
  }
  if (policy.armed) return undefined
  const error = setForgotten(fd, true)
  return error < 0
    ? fallback('refused', `TCP_LINGER2 was refused (errno ${String(-error)})`)
    : undefined
}

/**
 * Whether a peer that connected to us has sent nothing. Its program may not have noticed that connect()
 * is complete: it asks the kernel for SO_ERROR then, and would find the EPIPE that the RST after the FIN
 * leaves there, and never read what was sent to it. Data in a SYN (TCP Fast Open) shows nothing: it
 * leaves with connect().
 */
function isSilent(
  socket: net.Socket,
  { bytesReceived, synData, dataSegsIn }: ConnectionState,
): boolean {
  if (!isAccepted(socket)) return false
  return bytesReceived === 0 || (synData && dataSegsIn === 1)
}

/** Whether closing in this state leaves no TIME_WAIT here whatever is set. */
function isOver(state: ConnectionState['state']): boolean {
  return state === 'CLOSE' || state === 'CLOSE_WAIT' || state === 'LAST_ACK' || state === 'SYN_SENT'
}
