/** Converts IP addresses between text and bytes in network order. */
import { BlockList, isIP, isIPv4 } from 'node:net'
import { networkInterfaces } from 'node:os'
import { LITTLE } from './bytes'

const IPV6_BYTES = 16
const MAPPED = Buffer.from('00000000000000000000ffff', 'hex')

/** Returns the bytes of an address that isIP() accepts, without its zone. */
export function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number))
  const [plain = ''] = address.split('%')
  // The last 32 bits may be written as an IPv4 address.
  const groups = plain.replace(/[\d.]+\.\d+$/, (tail) => addressBytes(tail).toString('hex'))
  const [head = '', rest = ''] = groups.split('::').map(digitsOf)
  return Buffer.from(head + rest.padStart(2 * IPV6_BYTES - head.length, '0'), 'hex')
}

/** Pads each group to four digits, and joins them. */
function digitsOf(groups: string): string {
  return groups
    .split(':')
    .map((group) => (group === '' ? '' : group.padStart(4, '0')))
    .join('')
}

/**
 * Returns the text of 4 or 16 bytes, shortened as in RFC 5952; an IPv4-mapped address is ::ffff:a.b.c.d.
 * net.SocketAddress takes four times as long. inet_ntop(3) differs between C libraries: of two equally long runs of
 * zeros, musl may shorten the second one.
 */
export function addressText(bytes: Uint8Array): string {
  if (bytes.length !== IPV6_BYTES) return bytes.join('.')
  if (isMapped(bytes)) return `::ffff:${bytes.subarray(MAPPED.length).join('.')}`
  const words: number[] = []
  for (let index = 0; index < IPV6_BYTES; index += 2) {
    words.push(((bytes[index] ?? 0) << 8) | (bytes[index + 1] ?? 0))
  }
  const { start, length } = longestZeros(words)
  const text = words.map((word) => word.toString(16))
  if (length < 2) return text.join(':')
  return `${text.slice(0, start).join(':')}::${text.slice(start + length).join(':')}`
}

/** Finds the longest run of zeros, and the first one if several are equally long. */
function longestZeros(words: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 }
  let start = 0
  words.forEach((word, index) => {
    if (word !== 0) start = index + 1
    else if (index + 1 - start > best.length) best = { start, length: index + 1 - start }
  })
  return best
}

/** Parses an address of /proc/net/tcp or tcp6, which print words of 32 bits in the byte order of this machine. */
export function addressInTable(hex: string): string {
  const bytes = Buffer.from(hex, 'hex')
  return addressText(LITTLE ? bytes.swap32() : bytes)
}

/** Returns the canonical text of an address, without its zone. An IPv4-mapped address becomes the IPv4 address. */
export function plainAddress(address: string): string {
  if (isIPv4(address)) return address
  const bytes = addressBytes(address)
  return addressText(isMapped(bytes) ? bytes.subarray(MAPPED.length) : bytes)
}

/** As {@link plainAddress}, but keeps the zone of a link-local address, as the name of the interface. */
export function zonedAddress(address: string): string {
  const end = address.indexOf('%')
  const plain = plainAddress(address)
  return end < 0 ? plain : `${plain}%${interfaceName(address.slice(end + 1))}`
}

/** Returns the interface of a zone, which is its name or its index (RFC 4007 section 11). */
function interfaceName(zone: string): string {
  if (!/^\d+$/.test(zone)) return zone
  const found = Object.entries(networkInterfaces()).find(([, addresses = []]) =>
    addresses.some(({ family, scopeid }) => family === 'IPv6' && scopeid === Number(zone)),
  )
  return found?.[0] ?? zone
}

function isMapped(bytes: Uint8Array): boolean {
  return MAPPED.equals(bytes.subarray(0, MAPPED.length))
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/**
 * Whether it is in 127.0.0.0/8, also IPv4-mapped, or ::1. Other addresses of this host are not loopback addresses,
 * although their traffic stays on the host too: net.ipv4.tcp_tw_reuse = 2 makes the same distinction
 * (tcp_twsk_unique() in net/ipv4/tcp_ipv4.c).
 */
export function isLoopback(address: string): boolean {
  return loopback.check(address, typeOf(address))
}

const linkLocal = new BlockList()
linkLocal.addSubnet('169.254.0.0', 16, 'ipv4')
linkLocal.addSubnet('fe80::', 10, 'ipv6')

/** Whether it is in 169.254.0.0/16 (RFC 3927) or fe80::/10 (RFC 4291 section 2.5.6). */
export function isLinkLocal(address: string): boolean {
  return linkLocal.check(address, typeOf(address))
}

function typeOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4'
}
