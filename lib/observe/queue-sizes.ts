import { getSystemErrorName } from 'node:util'
import { native } from '../kernel/binding'
import { SocketTunerError } from '../errors'
import { getOption } from '../options/access'
import { descriptorOf, type Target } from '../target'

/** Bytes waiting in the kernel for one socket (tcp(7): SIOCINQ, SIOCOUTQ, SIOCOUTQNSD). */
export interface QueueSizes {
  /** Received and not read yet. */
  unread: number
  /** Written and not acknowledged by the peer's kernel; the unsent ones are among them. */
  unacknowledged: number
  /** Written and not sent yet; undefined where the platform does not tell (macOS). */
  unsent: number | undefined
}

/**
 * How many bytes wait in the kernel's queues, with four system calls. What Node keeps in
 * JavaScript is not counted: see `socket.writableLength` and `socket.readableLength`.
 *
 * @throws the errno's name when the kernel refuses, as EINVAL for a listening socket
 */
export function queueSizes(target: Target): QueueSizes {
  const fd = descriptorOf(target)
  // A terminal answers some of the queries below, each in its own way.
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
