/** Which source address the kernel takes for a destination. */
import { constants as os } from 'node:os'
import { native } from '../kernel/binding'
import type { IpFamily } from './address'
import { boundAddress } from './bound-address'
import { domainOf } from './open'

/** The discard port: connect(2) of a datagram socket sends nothing. */
const ANY_PORT = 9

/** The address, or a negated errno: ENETUNREACH where there is none, EOPNOTSUPP without an addon. */
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
