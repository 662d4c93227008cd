import { native } from '../binding'
import { connectionState, type ConnectionState } from '../observe/tcp-info'
import { announce } from '../warnings'
import type { ClosePolicy } from './policy'
import { bytesNotInKernel, discardUnread } from './pending'
import { timeWaitOf, type CloseOutcome } from './report'

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
export function closeAndForget(policy: ClosePolicy, fd: number): CloseOutcome {
  const { socket } = policy
  const discardedBytes = bytesNotInKernel(socket)
  if (policy.armed && !policy.requireTimestamps && isReading(socket)) {
    return {
      mode: 'deliver',
      discardedBytes,
      unreadBytes: 0,
      timeWait: socket.readableEnded ? 'peer' : 'avoided',
    }
  }
  const connection = connectionState(fd)
  const unreadBytes = discardUnread(fd, socket, connection)
  const fallback = arm(policy, fd, connection)
  return fallback === undefined
    ? { mode: 'deliver', discardedBytes, unreadBytes, timeWait: timeWaitOf(connection.state, true) }
    : {
        mode: 'fin',
        fallback,
        discardedBytes,
        unreadBytes,
        timeWait: timeWaitOf(connection.state, false),
      }
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
