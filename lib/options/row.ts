/**
 * The shape of one row of the option catalogue.
 *
 * Everything this library says about an option is derived from its row: the TypeScript type of
 * its value, validation, "too late" warnings, `describeOption`, docs/options.md, the command
 * line's listing and the generated tests.
 */

import type { ErrnoCode } from '../errors'

/** The protocol level that setsockopt(2) is given. */
export type OptionLevel =
  'SOL_SOCKET' | 'IPPROTO_TCP' | 'IPPROTO_IP' | 'IPPROTO_IPV6' | 'SOL_UDP' | 'SOL_MPTCP' | 'SOL_TLS'

/**
 * When a set has its full effect.
 *
 * - `any`: at any moment.
 * - `pre-bind`: before bind(2), or the implicit bind of connect(2) and listen(2).
 * - `pre-connect`: before connect(2); on a listening socket it reaches later connections.
 * - `pre-established`: before the connection is established, while it is being made too; on a listening
 *   socket it reaches later connections.
 * - `pre-listen`: before listen(2), or while listening for connections to come; not on a connected socket.
 * - `connected`: only on a connected socket.
 */
export type OptionTiming =
  'any' | 'pre-bind' | 'pre-connect' | 'pre-established' | 'pre-listen' | 'connected'

/** How a value is written in JavaScript and laid out for the kernel: see kinds.ts. */
export type OptionKind =
  | 'bool'
  | 'int'
  | 'u32'
  | 'u64'
  | 'string'
  | 'bytes'
  | 'linger'
  | 'timeval'
  | 'portRange'
  | 'interfaceIndex'
  | 'credentials'
  | 'memoryInfo'
  | 'transmitTime'
  | 'socketAddress'
  | 'md5Key'
  | 'filter'

/** What a program may do with an option through this library. `none` rows say why in `because`. */
export type OptionAccess = 'rw' | 'r' | 'w' | 'none'

/** The unit of a number. */
export type OptionUnit =
  | 'bytes'
  | 'bytes/s'
  | 'seconds'
  | 'milliseconds'
  | 'microseconds'
  | 'connections'
  | 'probes'
  | 'retransmits'
  | 'hops'
  | 'bit mask'
  | 'interface index'
  | 'cpu'
  | 'errno'

export interface OptionRow {
  level: OptionLevel
  kind: OptionKind
  access: OptionAccess
  /** One sentence in the present tense: what the option does. */
  summary: string
  when: OptionTiming
  /** The kernel refuses a set that comes too late, so that nothing has to warn of it. */
  refusedLate?: true
  /** A late set is as good as an early one up to what the window scale of the connection allows. */
  withinWindowScale?: true
  /** Copied from a listening socket to the sockets it accepts (Linux); null where it means nothing there. */
  inherited: boolean | null
  unit?: OptionUnit
  /** The least and greatest number that the kernel takes (int, u32, timeval, interfaceIndex). */
  range?: readonly [min: number, max: number]
  /** Numbers outside `range` that have a meaning of their own, such as -1 for "off". */
  also?: readonly number[]
  /** The least and greatest length in bytes (string, bytes). */
  length?: readonly [min: number, max: number]
  /** How the value that is read back differs from the one set. */
  rewritten?: string
  /** The kernel stores twice the number that is set, so putting a read value back means halving it. */
  doubled?: true
  /** Node's setKeepAlive() sets it too; what is set here is set again after it. */
  rewrittenByNode?: true
  /** Reading a socket on which the option was never set gives the first number; writing the second one means "never set". */
  unset?: readonly [read: number, write: number]
  /** Options which the kernel changes as a side effect of setting this one; tune() restores them too. */
  alsoChanges?: readonly string[]
  /** Capability that a set needs on Linux. */
  privilege?: string
  /**
   * When a set is refused with its value in range and the caller privileged, by the name of the errno:
   * a clause such as "when no interface has that name". tune() saves what came before such an option.
   */
  refused?: Readonly<Partial<Record<ErrnoCode, string>>>
  /** The only sockets that have it, where it is not for TCP; others refuse it. */
  only?: 'unix' | 'datagram' | 'mptcp'
  /** Works on TCP sockets but not on MPTCP ones. */
  notOnMptcp?: true
  /** First Linux kernel release that has it; absent when it is older than 3.0. */
  since?: string
  /** What macOS calls it; absent where macOS has no such thing. */
  darwin?: string
  /** What Windows calls it; for the reader, since Node gives no descriptor there. */
  windows?: string
  /** What goes wrong when it is used without thought. */
  hazard?: string
  /** Never read back, printed or put in an error. */
  secret?: true
  /** Reading changes the socket's state: how. */
  readHazard?: string
  /** Of SOL_SOCKET, but for packets, routes, ports or probes: a unix-domain socket accepts it without effect. */
  ipOnly?: true
  /** The sockets that the option is for, when a TCP socket accepts it without effect. */
  noEffectOnTcp?: string
  /** For `none`: why this library does not offer it. */
  because?: string
  /** Left out of the generated round-trip test: why. */
  roundTrip?: string
  /** A value for the generated round-trip test where the middle of the range does not do. */
  example?: unknown
  /** Where this is written. */
  source: string
}

export type OptionTable = Readonly<Record<string, OptionRow>>
