/** Host names to addresses, in the order in which they are to be tried. */
import * as dns from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import type { IpFamily } from './address'

export interface Address {
  readonly address: string
  readonly family: IpFamily
}

/** What a lookup came to; `address` is what it gave where that is none, for Node to refuse. */
export type Resolved =
  | { readonly error: NodeJS.ErrnoException }
  | { readonly invalid: string; readonly family: number }
  | { readonly addresses: readonly Address[] }

/**
 * Looks up all addresses of a host name, by the caller's `lookup` or dns.lookup(). Calls back in a
 * later tick, also when `lookup` does not.
 */
export function resolveAll(
  hostname: string,
  options: dns.LookupOptions,
  lookup: LookupFunction | undefined,
  done: (result: Resolved) => void,
): void {
  const find: LookupFunction = lookup ?? dns.lookup
  find(hostname, { ...options, all: true }, (error, found, family) => {
    process.nextTick(done, error === null ? sorted(found, family) : { error })
  })
}

/** A lookup of the caller's may know nothing of `all` and give one address. */
function sorted(found: string | dns.LookupAddress[], family: number | undefined): Resolved {
  const all =
    typeof found === 'string' ? [{ address: found, family: family ?? isIP(found) }] : found
  const invalid = all.find(({ address }) => isIP(address) === 0)
  if (invalid !== undefined) return { invalid: invalid.address, family: invalid.family }
  const addresses = all.map(({ address }) => ({ address, family: isIP(address) as IpFamily }))
  return { addresses: interleaved(addresses) }
}

/**
 * The families by turns, the first address's one first, otherwise in the order of the resolver
 * (RFC 8305 section 4, with a First Address Family Count of 1).
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
