import { getSystemErrorName } from 'node:util'
import { native } from '../kernel/binding'
import { SocketTunerError } from '../errors'
import { getOption } from '../options/access'
import { descriptorOf, type Target } from '../target'

/** The bytes in the kernel's queues of one socket (tcp(7): SIOCINQ, SIOCOUTQ, SIOCOUTQNSD). */
export interface QueueSizes {
  /** Received but not read yet. */
  unread: number
  /** Written but not acknowledged by the peer's kernel; includes the unsent bytes. */
  unacknowledged: number
  /** Written but not sent yet; undefined on macOS, which does not report it. */
  unsent: number | undefined
}

/**
 * Returns the bytes in the kernel's queues of a socket, with four system calls. Data in Node's own buffers is not
 * included: see `socket.writableLength` and `socket.readableLength`.
 *
 * @throws the errno name if the kernel refuses, for example EINVAL for a listening socket
 */
export function queueSizes(target: Target): QueueSizes {
  const fd = descriptorOf(target)
  // Refuses descriptors that are not sockets: a terminal supports some of the ioctls below with other meanings.
  getOption(fd, 'SO_TYPE')
  const unsent = native.unsentBytes(fd)
  return {
    unread: checked('SIOCINQ', fd, native.unreadBytes(fd)),
    unacknowledged: checked('SIOCOUTQ', fd, native.unacknowledgedBytes(fd)),
    unsent: unsent < 0 ? undefined : unsent,
  }
}

function checked(query: string, fd: number, result: number): number {
  if (result >= 0) return result
  const code = getSystemErrorName(result)
  throw new SocketTunerError(`ioctl ${query} on fd ${String(fd)}: ${code}`, {
    code,
    errno: result,
    syscall: 'ioctl',
    fd,
  })
}
