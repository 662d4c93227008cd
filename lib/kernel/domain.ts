/** The address family of an open socket, which Linux calls its domain: socket(2). */
import { native } from './binding'

/** Longer than any name: sun_path of unix(7) has 108 bytes. */
const LONGEST_NAME = 128

/** The name of a unix-domain socket, empty if it is not bound; undefined for other sockets. */
export function unixName(fd: number): string | undefined {
  const name = Buffer.alloc(LONGEST_NAME)
  const length = native.localPath(fd, name)
  return length < 0 ? undefined : name.toString('utf8', 0, length)
}

/** Whether it is a unix-domain socket. Its connections inherit no options, and it has neither a port nor TIME_WAIT. */
export function isUnixDomain(fd: number): boolean {
  return unixName(fd) !== undefined
}

/** Whether it is an IPv4 or IPv6 socket, and so has a port. */
export function isInternet(fd: number): boolean {
  return native.localPort(fd) >= 0
}
