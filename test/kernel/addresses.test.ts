import { isIP } from 'node:net'
import { addressBytes, addressText } from '../../lib/kernel/addresses'

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
  ])('%s', (address, hex) => {
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
  ])('is what the URL standard says of %s, and reads back', (hex) => {
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

  it('shows an IPv4 address within an IPv6 one', () => {
    expect(addressText(Buffer.from('00000000000000000000ffffc0000207', 'hex'))).toBe(
      '::ffff:192.0.2.7',
    )
  })
})
