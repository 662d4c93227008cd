/** The values of options as JavaScript writes them, by kind. */
import type { PortRange } from '../kernel/proc'

export type { PortRange }

/** SO_LINGER as it is read: `seconds` is 0 while it is not `enabled`. */
export interface Linger {
  enabled: boolean
  /** 0 to 2147483647 s (327 on macOS); 0 makes close() send a RST and throw unsent data away. */
  seconds: number
}

/** SO_LINGER as it is set. */
export interface LingerInput extends Linger {
  /** Required for `seconds` above 0: close() will stop the event loop for up to that time. */
  blocking?: boolean
}

/** SO_PEERCRED: the peer process of a unix-domain socket when it connected. */
export interface Credentials {
  pid: number
  uid: number
  gid: number
}

/** SO_MEMINFO, in bytes, but for `drops`, a count of packets. */
export interface MemoryInfo {
  rmemAlloc: number
  rcvbuf: number
  wmemAlloc: number
  sndbuf: number
  forwardAlloc: number
  wmemQueued: number
  optmem: number
  backlog: number
  drops: number
}

/** SO_TXTIME: the clock of the transmit times (a clockid_t) and SOF_TXTIME_* flags. */
export interface TransmitTime {
  clockId: number
  flags: number
}

/** An address as the kernel keeps it. */
export interface SocketAddress {
  family: 'IPv4' | 'IPv6'
  address: string
  port: number
}

/** TCP_MD5SIG (RFC 2385): the key for segments from and to one peer. */
export interface Md5Key {
  /** The peer's IP address; on an IPv6 socket an IPv4 peer is given as `::ffff:a.b.c.d`. */
  address: string
  /** 1 to 80 bytes; an empty one removes the key of that peer. */
  key: Uint8Array
}

/** One instruction of a classic BPF program, as bpf(4) and linux/filter.h name its fields. */
export interface BpfInstruction {
  code: number
  jt: number
  jf: number
  k: number
}

/** The value that each kind reads as. */
export interface ReadValues {
  bool: boolean
  int: number
  u32: number
  u64: bigint
  string: string
  bytes: Uint8Array
  linger: Linger
  timeval: number
  portRange: PortRange
  interfaceIndex: number
  credentials: Credentials
  memoryInfo: MemoryInfo
  transmitTime: TransmitTime
  socketAddress: SocketAddress
  md5Key: never
  filter: never
}

/** The value that each kind is set to. */
export interface WriteValues extends Omit<ReadValues, 'linger' | 'md5Key' | 'filter'> {
  linger: LingerInput
  md5Key: Md5Key
  filter: readonly BpfInstruction[]
}
