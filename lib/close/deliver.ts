import { native } from '../binding'
import { connectionState, type ConnectionState } from '../observe/tcp-info'
import { announce } from '../warnings'
import { finish } from './fin'
import { bytesNotInKernel, discardUnread, isAcknowledged } from './pending'
import type { ClosePolicy, Done } from './policy'
import { timeWaitOf } from './report'
import { takeOver } from './take-over'
import { awaitsTickets } from './tls'

const FORGET_WHEN_ACKNOWLEDGED = -1
const SYSCTL_DEFAULT = 0

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
  const discardedBytes = bytesNotInKernel(socket)
  if (policy.armed && !policy.requireTimestamps && isReading(socket)) {
    const timeWait = socket.readableEnded ? 'peer' : 'avoided'
    done({ mode, discardedBytes, unreadBytes: 0, timeWait })
    return
  }
  const connection = connectionState(fd)
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
  } as const
  if (awaitsTickets(socket) && !isAcknowledged(fd)) {
    const copy = takeOver(fd, policy, { condition: isAcknowledged }, (rest) => {
      // The peer may answer the close_notify by closing: then TIME_WAIT is its own.
      const timeWait = rest.peerFinished ? 'peer' : outcome.timeWait
      done({ ...outcome, timeWait, unreadBytes: unreadBytes + rest.unreadBytes })
    })
    if (copy >= 0) return
  }
  done(outcome)
}

/** Whether libuv reads whatever comes in, so that input left in the kernel is not to be expected. */
function isReading(socket: ClosePolicy['socket']): boolean {
  return socket.readableFlowing !== false
}

/** Sets TCP_LINGER2 unless it must not be; returns why it was not. */
function arm(
  policy: ClosePolicy,
  fd: number,
  { state, timestamps }: ConnectionState,
): string | undefined {
  const { IPPROTO_TCP, TCP_LINGER2 } = native.constants
  if (IPPROTO_TCP === undefined || TCP_LINGER2 === undefined) {
    const why = `${process.platform} has no TCP_LINGER2`
    announce(
      'SOCKET_TUNER_DELIVER_UNSUPPORTED',
      process.platform,
      `Closed with 'fin' in place of 'deliver': ${why}`,
    )
    return why
  }
  if (state === undefined) return 'not a TCP socket: there is no TIME_WAIT to avoid'
  if (state === 'CLOSE' || state === 'CLOSE_WAIT' || state === 'LAST_ACK' || state === 'SYN_SENT')
    return undefined
  if (policy.requireTimestamps && !timestamps) {
    if (policy.armed) native.setInt(fd, IPPROTO_TCP, TCP_LINGER2, SYSCTL_DEFAULT)
    announce(
      'SOCKET_TUNER_DELIVER_FALLBACK',
      'timestamps',
      "Closed with 'fin' in place of 'deliver', leaving TIME_WAIT for 60 s: the connection has no TCP timestamps, " +
        'so a delayed segment of it could enter the next connection on the same ports',
    )
    return 'TCP timestamps were not negotiated'
  }
  if (policy.armed) return undefined
  const error = native.setInt(fd, IPPROTO_TCP, TCP_LINGER2, FORGET_WHEN_ACKNOWLEDGED)
  return error < 0 ? `TCP_LINGER2 was refused (errno ${String(-error)})` : undefined
}
