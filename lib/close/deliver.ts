import type * as net from 'node:net'
import { connectionState, type ConnectionState } from '../observe/tcp-info'
import { announce } from '../warnings'
import { finish } from './fin'
import { hasLinger2, setForgotten } from './linger2'
import { bytesLost, bytesNotInKernel, discardUnread, isAcknowledged } from './pending'
import type { ClosePolicy, Done } from './policy'
import { timeWaitOf } from './report'
import { afterTakeOver, takeOver } from './take-over'
import { awaitsTickets, lacksTicket } from './tls'

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
export function closeAndForget(policy: ClosePolicy, fd: number, done: Done): void {
  const { socket } = policy
  const mode = 'deliver'
  if (policy.armed && !policy.requireTimestamps && isReading(socket)) {
    const timeWait = socket.readableEnded ? 'peer' : 'avoided'
    done({ mode, discardedBytes: bytesNotInKernel(socket), unreadBytes: 0, timeWait })
    return
  }
  const connection = connectionState(fd)
  const discardedBytes = bytesLost(socket, connection)
  const fallback = arm(policy, fd, connection)
  if (fallback !== undefined) {
    finish(policy, fd, connection, done, fallback)
    return
  }
  const unreadBytes = discardUnread(fd, socket, connection)
  const outcome = {
    mode,
    discardedBytes,
    unreadBytes,
    timeWait: timeWaitOf(connection.state, true),
    wasOver: connection.state === 'CLOSE',
  } as const
  if (policy.held !== true && awaitsTickets(socket)) {
    const ticket = unreadBytes === 0 && !isOver(connection.state) && lacksTicket(socket)
    const condition = isSafe(ticket)
    if (!condition(fd, 0)) {
      const copy = takeOver(fd, policy, { condition }, (rest) => {
        const timeWait = rest.peerFinished ? whoHadBegun(connection.state) : outcome.timeWait
        const whole = { ...outcome, timeWait, unreadBytes: unreadBytes + rest.unreadBytes }
        done(afterTakeOver(whole, rest))
      })
      if (copy >= 0) return
    }
  }
  done(outcome)
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

/** Who keeps TIME_WAIT when the peer's FIN came to a connection in this state. */
function whoHadBegun(state: ConnectionState['state']): 'here' | 'peer' {
  return state === 'FIN_WAIT1' || state === 'FIN_WAIT2' ? 'here' : 'peer'
}

/** The parts of a socket under Node's http server that tell whether it is being read. */
interface HttpParts {
  readonly parser?: { readonly incoming?: { readonly complete?: boolean } | null } | null
  readonly _paused?: boolean
}

/**
 * Whether everything that comes in is read, so that input left in the kernel is not to be expected.
 * Node's http server stops reading below the stream while a request's body is not consumed.
 */
function isReading(socket: net.Socket): boolean {
  const { parser, _paused } = socket as HttpParts
  return socket.readableFlowing === true && _paused !== true && parser?.incoming?.complete !== false
}

/** Sets TCP_LINGER2 unless it must not be; returns why it was not. */
function arm(
  policy: ClosePolicy,
  fd: number,
  { state, notTcp, timestamps }: ConnectionState,
): string | undefined {
  if (!hasLinger2) {
    const why = `${process.platform} has no TCP_LINGER2`
    announce(
      'SOCKET_TUNER_DELIVER_UNSUPPORTED',
      process.platform,
      `Closed with 'fin' in place of 'deliver': ${why}`,
    )
    return why
  }
  if (notTcp) return 'not a TCP socket: there is no TIME_WAIT to avoid'
  if (isOver(state)) return undefined
  if (policy.requireTimestamps && !timestamps) {
    announce(
      'SOCKET_TUNER_DELIVER_FALLBACK',
      'timestamps',
      "Closed with 'fin' in place of 'deliver', leaving TIME_WAIT for 60 s: the connection has no TCP timestamps, " +
        'so a delayed segment of it could enter the next connection on the same ports',
    )
    return 'TCP timestamps were not negotiated'
  }
  if (policy.armed) return undefined
  const error = setForgotten(fd, true)
  return error < 0 ? `TCP_LINGER2 was refused (errno ${String(-error)})` : undefined
}

/** Whether closing in this state leaves no TIME_WAIT here whatever is set. */
function isOver(state: ConnectionState['state']): boolean {
  return state === 'CLOSE' || state === 'CLOSE_WAIT' || state === 'LAST_ACK' || state === 'SYN_SENT'
}
