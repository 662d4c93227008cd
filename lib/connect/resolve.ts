/** Resolves host names to addresses, in the order in which to try them. */
import type * as dns from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { ArgumentTypeError } from '../errors'
import { zonedAddress } from '../kernel/addresses'
import { onDemand } from '../node/on-demand'
import type { IpFamily } from './address'

export interface Address {
  readonly address: string
  readonly family: IpFamily
}

/** The answer of a lookup. */
type Resolved =
  | { readonly error: unknown }
  /** One address, or an invalid value, for which Node reports the error. */
  | { readonly address: unknown; readonly family: unknown }
  /** At least two. */
  | { readonly addresses: readonly Address[] }

/**
 * Looks up a host name by the caller's `lookup` or by dns.lookup(). Calls back exactly once and in a later tick,
 * whatever `lookup` does.
 *
 * @throws ERR_INVALID_ARG_TYPE, and any error that `lookup` throws
 */
export function resolve(
  hostname: string,
  options: dns.LookupOptions,
  lookup: LookupFunction | null | undefined,
  done: (result: Resolved) => void,
): void {
  const find: LookupFunction = lookup ?? onDemand.dns.lookup
  if (typeof find !== 'function')
    throw new ArgumentTypeError('options.lookup', 'of type function', find)
  let answered = false
  find(hostname, options, (error, found, family) => {
    if (answered) return
    answered = true
    // Node treats any falsy value as "no error".
    process.nextTick(done, error ? { error } : resultOf(found, family))
  })
}

/** The caller's `lookup` may ignore the option `all` and return one address. */
function resultOf(found: unknown, family: unknown): Resolved {
  if (!Array.isArray(found)) return { address: found, family }
  const addresses = found.filter(isAddress)
  const distinct = addresses.filter(
    (one, index) => addresses.findIndex((other) => isSame(other, one)) === index,
  )
  if (distinct.length > 1) return { addresses: interleaved(distinct) }
  const one = (distinct[0] ?? found[0]) as Partial<Address> | null | undefined
  return { address: one?.address, family: one?.family }
}

/** Compares addresses in whatever notation. An IPv4-mapped IPv6 address differs from the IPv4 address. */
function isSame(one: Address, other: Address): boolean {
  return (
    one.address === other.address ||
    (one.family === other.family && zonedAddress(one.address) === zonedAddress(other.address))
  )
}

function isAddress(value: unknown): value is Address {
  const { address, family } = (value ?? {}) as { address?: unknown; family?: unknown }
  return typeof address === 'string' && isIP(address) !== 0 && isIP(address) === family
}

/**
 * Alternates the families, beginning with that of the first address; within a family the order of the resolver
 * stays (RFC 8305 section 4, with a First Address Family Count of 1).
 */
export function interleaved(addresses: readonly Address[]): Address[] {
  const [first] = addresses
  const preferred = addresses.filter(({ family }) => family === first?.family)
  const others = addresses.filter(({ family }) => family !== first?.family)
  const turns = Array.from({ length: Math.max(preferred.length, others.length) })
  return turns
    .flatMap((_, turn) => [preferred[turn], others[turn]])
    .filter((address) => address !== undefined)
}
