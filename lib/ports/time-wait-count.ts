import { SocketTunerError } from '../errors'
import { timeWaitTotal } from '../kernel/proc'

/**
 * How many sockets of this network namespace are in TIME_WAIT, IPv4 and IPv6 together: one read of
 * /proc/net/sockstat, which costs the same whatever their number. Linux.
 *
 * @throws ERR_SOCKET_TUNER_UNSUPPORTED where there is no such file
 */
export function timeWaitCount(): number {
  const count = timeWaitTotal()
  if (count !== undefined) return count
  throw new SocketTunerError(
    'TIME_WAIT cannot be counted: /proc/net/sockstat cannot be read; that needs Linux with /proc mounted',
    {
      code: 'ERR_SOCKET_TUNER_UNSUPPORTED',
    },
  )
}
