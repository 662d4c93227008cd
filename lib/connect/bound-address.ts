import { native } from '../kernel/binding'

/** An IPv6 address that ends with an IPv4 one, as text, and the name of an interface. */
const LONGEST_ADDRESS = 45 + 1 + 15

/** The address that a descriptor is bound to, a link-local one with its zone, or a negated errno (getsockname(2)). */
export function boundAddress(fd: number): string | number {
  const text = Buffer.alloc(LONGEST_ADDRESS)
  const length = native.localAddress(fd, text)
  return length < 0 ? length : text.toString('latin1', 0, length)
}
