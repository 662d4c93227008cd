/** IP addresses as bytes in network order, and as text. */
import { BlockList, isIP, isIPv4 } from 'node:net'
import { networkInterfaces } from 'node:os'

const IPV6_BYTES = 16
const MAPPED = Buffer.from('00000000000000000000ffff', 'hex')

/** The bytes of an address that isIP() accepts; a zone is left out. */
export function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number))
  const [plain = ''] = address.split('%')
  // The last 32 bits may be written as an IPv4 address.
  const tail = /[^:]*\.[^:]*$/.exec(plain)?.[0]
  const hex =
    tail === undefined
      ? plain
      : plain.slice(0, -tail.length) + groupsOf(Buffer.from(tail.split('.').map(Number)))
  const [head = '', rest] = hex.split('::')
  const before = wordsOf(head)
  const after = rest === undefined ? [] : wordsOf(rest)
  const zeros = Array<number>(IPV6_BYTES / 2 - before.length - after.length).fill(0)
  const result = Buffer.alloc(IPV6_BYTES)
  ;[...before, ...zeros, ...after].forEach((word, index) => {
    result.writeUInt16BE(word, 2 * index)
  })
  return result
}

function groupsOf(bytes: Buffer): string {
  return `${bytes.readUInt16BE(0).toString(16)}:${bytes.readUInt16BE(2).toString(16)}`
}

function wordsOf(text: string): number[] {
  return text === '' ? [] : text.split(':').map((word) => Number.parseInt(word, 16))
}

/** `bytes` are 4 or 16; shortened as RFC 5952 says, IPv4-mapped as ::ffff:a.b.c.d. */
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

/** The first of the longest runs of zeros. */
function longestZeros(words: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 }
  let start = 0
  words.forEach((word, index) => {
    if (word !== 0) start = index + 1
    else if (index + 1 - start > best.length) best = { start, length: index + 1 - start }
  })
  return best
}

/** One text for one address: IPv6 as {@link addressText} has it, and IPv4-mapped as the IPv4 that it is. */
export function plainAddress(address: string): string {
  if (isIPv4(address)) return address
  const bytes = addressBytes(address)
  return addressText(isMapped(bytes) ? bytes.subarray(MAPPED.length) : bytes)
}

/** The same with its zone, of a link-local one, as the name of the interface. */
export function zonedAddress(address: string): string {
  const end = address.indexOf('%')
  const plain = plainAddress(address)
  return end < 0 ? plain : `${plain}%${interfaceName(address.slice(end + 1))}`
}

/** The interface that a zone stands for, by its name or its number (RFC 4007 section 11). */
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
 * 127.0.0.0/8, also mapped into IPv6, and ::1. Another address of this host is none, though its traffic
 * stays on the host too (tcp_twsk_unique() of net/ipv4/tcp_ipv4.c).
 */
export function isLoopback(address: string): boolean {
  return loopback.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
}
