import { isIP } from 'node:net'
import fc from 'fast-check'
import {
  addressBytes,
  addressInTable,
  addressText,
  isLinkLocal,
  plainAddress,
} from '../../lib/kernel/addresses'
import { LITTLE } from '../../lib/kernel/bytes'

describe('an address as bytes', () => {
  it.each([
    ['192.0.2.7', 'c0000207'],
    ['::', '00000000000000000000000000000000'],
    ['::1', '00000000000000000000000000000001'],
    ['2001:db8::', '20010db8000000000000000000000000'],
    ['2001:db8::8:800:200c:417a', '20010db80000000000080800200c417a'],
    ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
    ['::ffff:192.0.2.7', '00000000000000000000ffffc0000207'],
    ['64:ff9b::192.0.2.7', '0064ff9b0000000000000000c0000207'],
    ['fe80::1%eth0', 'fe800000000000000000000000000001'],
  ])('is converted from %s', (address, hex) => {
    expect(addressBytes(address).toString('hex')).toBe(hex)
  })
})

describe('an address as text (RFC 5952)', () => {
  it.each([
    'c0000207',
    '00000000000000000000000000000000',
    '00000000000000000000000000000001',
    '20010db8000000000000000000000000',
    '20010db8000000010001000100010001',
    '20010db8000000000000000100000001',
    '20010db8000100000000000100000000',
    '00010000000000000000000000000000',
    'fe80000000000000020000fffe000001',
  ])('is that of the URL standard for %s, and is converted back', (hex) => {
    const bytes = Buffer.from(hex, 'hex')
    const text = addressText(bytes)
    const expected =
      bytes.length === 4
        ? text
        : new URL(`http://[${(hex.match(/.{4}/g) ?? []).join(':')}]`).hostname.slice(1, -1)
    expect(text).toBe(expected)
    expect(isIP(text)).not.toBe(0)
    expect(addressBytes(text)).toEqual(bytes)
  })

  it('has the dotted form for an IPv4-mapped address', () => {
    expect(addressText(Buffer.from('00000000000000000000ffffc0000207', 'hex'))).toBe(
      '::ffff:192.0.2.7',
    )
  })
})

/** Returns several spellings of 16 bytes, but not the shortest one. */
function spellings(bytes: Buffer): string[] {
  const groups: string[] = bytes.toString('hex').match(/.{4}/g) ?? []
  const short = groups.map((group) => group.replace(/^0{1,3}/, ''))
  const tail = bytes.subarray(12).join('.')
  const zero = groups.indexOf('0000')
  return [
    groups.join(':'),
    short.join(':').toUpperCase(),
    `${short.slice(0, 6).join(':')}:${tail}`,
    `${groups.join(':')}%eth0`,
    ...(zero < 0 ? [] : [`${short.slice(0, zero).join(':')}::${short.slice(zero + 1).join(':')}`]),
  ]
}

describe('an IPv6 address', () => {
  const bytes = fc
    .array(fc.oneof(fc.constant(0), fc.nat(0xffff)), { minLength: 8, maxLength: 8 })
    .map((words) => Buffer.from(words.flatMap((word) => [word >> 8, word & 0xff])))

  it('has the same bytes and one text, however it is written', () => {
    fc.assert(
      fc.property(bytes, (address) => {
        const text = addressText(address)
        for (const spelling of [text, ...spellings(address)]) {
          expect(isIP(spelling)).toBe(6)
          expect(addressBytes(spelling)).toEqual(address)
          expect(plainAddress(spelling)).toBe(plainAddress(text))
        }
      }),
    )
  })

  it('is shortened at the first of the longest runs of zeros, but not at a single zero', () => {
    expect(plainAddress('0:0:1:0:0:1:1:1')).toBe('::1:0:0:1:1:1')
    expect(plainAddress('2001:db8:0:0:1:0:0:0')).toBe('2001:db8:0:0:1::')
    expect(plainAddress('2001:db8:0:1:1:1:1:1')).toBe('2001:db8:0:1:1:1:1:1')
  })

  it('is converted to the IPv4 address that is mapped into it', () => {
    expect(plainAddress('::ffff:c000:207')).toBe('192.0.2.7')
    expect(plainAddress('::FFFF:192.0.2.7')).toBe('192.0.2.7')
    expect(plainAddress('::c000:207')).toBe('::c000:207')
  })
})

describe('an address in /proc/net/tcp', () => {
  it.each([
    ['127.0.0.1', '0100007F', '7F000001'],
    ['::1', '00000000000000000000000001000000', '00000000000000000000000000000001'],
    ['2001:db8::7', 'B80D0120000000000000000007000000', '20010DB8000000000000000000000007'],
  ])('is converted to %s', (address, little, big) => {
    expect(addressInTable(LITTLE ? little : big)).toBe(address)
  })
})

describe('isLinkLocal()', () => {
  it.each([
    ['169.254.0.1', true],
    ['169.255.0.1', false],
    ['fe80::1', true],
    ['febf::1', true],
    ['fec0::1', false],
    ['fe8::1', false],
    ['::1', false],
  ])('returns for %s: %s', (address, expected) => {
    expect(isLinkLocal(address)).toBe(expected)
  })
})
