/** The local addresses that sockets have, and those that the kernel would choose for them. */
import { constants as os } from 'node:os'
import { native } from '../kernel/binding'
import type { IpFamily } from './address'
import { domainOf } from './open'

/** The longest text: an IPv6 address with an embedded IPv4 address, `%`, and the name of an interface. */
const LONGEST_ADDRESS = 45 + 1 + 15

/** The discard port: connect(2) of a datagram socket sends nothing. */
const ANY_PORT = 9

/** Returns the address that a descriptor is bound to, with the zone of a link-local one, or a negated errno. */
export function boundAddress(fd: number): string | number {
  const text = Buffer.alloc(LONGEST_ADDRESS)
  const length = native.localAddress(fd, text)
  return length < 0 ? length : text.toString('latin1', 0, length)
}

/**
 * Returns the source address that the kernel chooses for a destination, or a negated errno: ENETUNREACH if there is
 * none, EOPNOTSUPP without the addon.
 */
export function sourceFor(family: IpFamily, address: string): string | number {
  const { SOCK_DGRAM } = native.constants
  const domain = domainOf(family)
  if (domain === undefined || SOCK_DGRAM === undefined) return -os.errno.EOPNOTSUPP
  const fd = native.openSocket(domain, SOCK_DGRAM, 0)
  if (fd < 0) return fd
  const connected = native.connectFd(fd, address, ANY_PORT)
  const source = connected < 0 ? connected : boundAddress(fd)
  native.closeFd(fd)
  return source
}
