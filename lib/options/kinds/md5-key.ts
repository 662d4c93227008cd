import { isIP } from 'node:net'
import { isUint8Array } from 'node:util/types'
import { ArgumentTypeError, ArgumentValueError, checkWhole, isObject } from '../../errors'
import { addressBytes } from '../../kernel/addresses'
import { native } from '../../kernel/binding'
import { Struct } from '../../kernel/bytes'
import { ipv4SocketLayout, ipv6SocketLayout, md5SignatureLayout } from '../../kernel/layouts'
import { unreadable, type BytesCodec } from '../codec'

/** TCP_MD5SIG (RFC 2385): the key for segments to and from one peer. */
export interface Md5Key {
  /** The peer's IP address. On an IPv6 socket, write an IPv4 peer as `::ffff:a.b.c.d`. */
  address: string
  /** 1 to 80 bytes; an empty key removes the key of that peer. */
  key: Uint8Array
}

export const md5Key: BytesCodec<never, Md5Key> = {
  carries: 'bytes',
  type: 'Md5Key',
  shown: '{ address, key }',
  encode: (option, _row, value) => {
    // A caller may pass the key in the wrong place, so no part of the value may appear in a message.
    const secret = (part: unknown): string => `a value of type ${typeof part}`
    if (!isObject(value)) {
      throw new ArgumentTypeError(option, 'of type object', value, secret(value))
    }
    const { address, key } = value
    if (typeof address !== 'string') {
      const shown = secret(address)
      throw new ArgumentTypeError(`${option}.address`, 'of type string', address, shown)
    }
    const family = isIP(address)
    if (family === 0 || address.includes('%')) {
      const reason = 'must be an IP address without a zone'
      throw new ArgumentValueError(`${option}.address`, reason, address, secret(address))
    }
    if (!isUint8Array(key)) {
      const shown = secret(key)
      throw new ArgumentTypeError(`${option}.key`, 'an instance of Uint8Array', key, shown)
    }
    const copy = new Uint8Array(key)
    checkWhole(`${option}.key.length`, copy.length, 0, md5SignatureLayout.key.size)
    const { AF_INET = 0, AF_INET6 = 0 } = native.constants
    const signature = new Struct(new Uint8Array(md5SignatureLayout.size))
      .setU16(md5SignatureLayout.keylen, copy.length)
      .setRun(md5SignatureLayout.key, copy)
    const peer = family === 6 ? ipv6SocketLayout : ipv4SocketLayout
    new Struct(signature.run(md5SignatureLayout.addr))
      .setU16(peer.family, family === 6 ? AF_INET6 : AF_INET)
      .setRun(peer.addr, addressBytes(address))
    return signature.bytes
  },
  decode: unreadable,
  capacity: () => 0,
}
