import { SocketTunerError } from '../errors'
import { timeWaitTotal } from '../kernel/proc'

/**
 * Counts the sockets of this network namespace in TIME_WAIT, IPv4 and IPv6 together. Reads /proc/net/sockstat once,
 * which costs the same for any number of sockets. Linux.
 *
 * @throws ERR_SOCKET_TUNER_UNSUPPORTED if the file does not exist
 */
export function timeWaitCount(): number {
  const count = timeWaitTotal()
  if (count !== undefined) return count
  throw new SocketTunerError(
    'TIME_WAIT cannot be counted: /proc/net/sockstat cannot be read. This needs Linux with /proc mounted',
    {
      code: 'ERR_SOCKET_TUNER_UNSUPPORTED',
    },
  )
}
