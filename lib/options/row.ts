/**
 * The shape of one row of the option catalogue.
 *
 * Everything this library says about an option is derived from its row: the TypeScript type of
 * its value, validation, "too late" warnings, `describeOption`, docs/options.md, the command
 * line's listing and the generated tests.
 */

import type { ErrnoCode } from '../errors'
import type { ValueLimits } from './codec'
import type { OptionKind } from './kinds'

/** The `level` argument of setsockopt(2). */
export type OptionLevel =
  'SOL_SOCKET' | 'IPPROTO_TCP' | 'IPPROTO_IP' | 'IPPROTO_IPV6' | 'SOL_UDP' | 'SOL_MPTCP' | 'SOL_TLS'

/**
 * When a set has its full effect.
 *
 * - `any`: at any time.
 * - `pre-bind`: before bind(2), or the implicit bind of connect(2) and listen(2).
 * - `pre-connect`: before connect(2); on a listening socket, for future connections.
 * - `pre-established`: before the connection is established, also during the handshake; on a listening
 *   socket, for future connections.
 * - `pre-listen`: before listen(2), or on a listening socket for future connections; not on a connected socket.
 * - `connected`: only on a connected socket.
 */
export type OptionTiming =
  'any' | 'pre-bind' | 'pre-connect' | 'pre-established' | 'pre-listen' | 'connected'

/** The access that this library offers. A row with `none` states the reason in `because`. */
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

export interface OptionRow extends ValueLimits {
  level: OptionLevel
  kind: OptionKind
  access: OptionAccess
  /** One sentence in the present tense: what the option does. */
  summary: string
  when: OptionTiming
  /** The kernel refuses a late set, so no warning is needed. */
  refusedLate?: true
  /** A late set has its full effect up to the limit of the negotiated window scale. */
  withinWindowScale?: true
  /** Copied from a listening socket to accepted sockets (Linux); null if that does not apply. */
  inherited: boolean | null
  unit?: OptionUnit
  /** How the value read back differs from the value set. */
  rewritten?: string
  /** The kernel stores twice the number that is set, so a value must be halved to restore it. */
  doubled?: true
  /** Node's setKeepAlive() overwrites it; this library then sets its value again. */
  rewrittenByNode?: true
  /** A socket on which the option was never set reads as the first number; writing the second restores that state. */
  unset?: readonly [read: number, write: number]
  /** Options that the kernel changes as a side effect of setting this one; tune() restores them too. */
  alsoChanges?: readonly string[]
  /** The capability that a set needs on Linux. */
  privilege?: string
  /**
   * When the kernel refuses a set although the value is in range and the caller privileged, by errno name:
   * a clause such as "when no interface has that name". tune() saves the options before this one, to
   * restore them.
   */
  refused?: Readonly<Partial<Record<ErrnoCode, string>>>
  /** The only kind of socket that has it, if that is not TCP; others refuse it. */
  only?: 'unix' | 'datagram' | 'mptcp'
  /** MPTCP sockets refuse it. */
  notOnMptcp?: true
  /** The first Linux release that has it; absent if older than 3.0. */
  since?: string
  /** Its name on macOS; absent if macOS lacks it. */
  darwin?: string
  /** Its name on Windows. For reference only: Node exposes no descriptors there. */
  windows?: string
  /** The risk of setting it. */
  hazard?: string
  /** How a read changes the state of the socket. */
  readHazard?: string
  /** A SOL_SOCKET option that acts on IP only: a unix-domain socket accepts it without effect. */
  ipOnly?: true
  /** The kinds of socket that the option is for, if a TCP socket accepts it without effect. */
  noEffectOnTcp?: string
  /** For `none`: why this library does not offer it. */
  because?: string
  /** Why the generated round-trip test skips it. */
  roundTrip?: string
  /** A value for the generated round-trip test, as JSON, if the middle of the range is not suitable. */
  example?: unknown
  /** The manual page, RFC or header that documents it. */
  source: string
}

export type OptionTable = Readonly<Record<string, OptionRow>>
