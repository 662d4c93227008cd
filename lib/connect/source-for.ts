/** Which source address the kernel takes for a destination. */
import { constants as os } from 'node:os'
import { native } from '../binding'
import type { IpFamily } from './address'

/** The discard port: connect(2) of a datagram socket sends nothing. */
const ANY_PORT = 9
/** INET6_ADDRSTRLEN */
const MAX_TEXT = 46

/** The address, or a negated errno: ENETUNREACH where there is none, EOPNOTSUPP without an addon. */
export function sourceFor(family: IpFamily, address: string): string | number {
  const { AF_INET, AF_INET6, SOCK_DGRAM } = native.constants
  const domain = family === 6 ? AF_INET6 : AF_INET
  if (domain === undefined || SOCK_DGRAM === undefined) return -os.errno.EOPNOTSUPP
  const fd = native.openSocket(domain, SOCK_DGRAM, 0)
  if (fd < 0) return fd
  const text = Buffer.alloc(MAX_TEXT)
  const connected = native.connectFd(fd, address, ANY_PORT)
  const length = connected < 0 ? connected : native.localAddress(fd, text)
  native.closeFd(fd)
  return length < 0 ? length : text.toString('latin1', 0, length)
}
