/** Read-only values that identify the peer. */
import { addressText } from '../../kernel/addresses'
import { native } from '../../kernel/binding'
import { Struct } from '../../kernel/bytes'
import { credentialsLayout, ipv4SocketLayout, ipv6SocketLayout } from '../../kernel/layouts'
import { readOnly, type BytesCodec } from '../codec'

/** SO_PEERCRED: the peer process of a unix-domain socket, as it was at its connect() or listen(). */
export interface Credentials {
  pid: number
  uid: number
  gid: number
}

/** struct sockaddr_in or sockaddr_in6. */
export interface SocketAddress {
  family: 'IPv4' | 'IPv6'
  address: string
  port: number
}

export const credentials: BytesCodec<Credentials> = {
  carries: 'bytes',
  type: 'Credentials',
  shown: '{ pid, uid, gid }',
  encode: readOnly,
  decode: (value) => {
    const struct = new Struct(value)
    return {
      pid: struct.i32(credentialsLayout.pid),
      uid: struct.u32(credentialsLayout.uid),
      gid: struct.u32(credentialsLayout.gid),
    }
  },
  capacity: () => credentialsLayout.size,
}

export const socketAddress: BytesCodec<SocketAddress> = {
  carries: 'bytes',
  type: 'SocketAddress',
  shown: '{ family, address, port }',
  encode: readOnly,
  decode: (value) => {
    const struct = new Struct(value)
    const isSix = struct.u16(ipv6SocketLayout.family) === native.constants.AF_INET6
    const layout = isSix ? ipv6SocketLayout : ipv4SocketLayout
    return {
      family: isSix ? 'IPv6' : 'IPv4',
      address: addressText(struct.run(layout.addr)),
      port: struct.networkU16(layout.port),
    }
  },
  capacity: () => ipv6SocketLayout.size,
}
