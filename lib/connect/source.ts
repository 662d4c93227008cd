/** The option `source`. Only this file makes a pool from an array of addresses. */
import { ArgumentTypeError } from '../errors'
import { custom } from '../spec'
import { checkAddresses, familyOf, type IpFamily } from './address'
import { SourcePool } from './source-pool'

/** The source of connections: an address of this host, several addresses of one family, or a pool. */
export type Source = string | readonly string[] | SourcePool

/** A checked source. Several addresses have become a pool. */
type CheckedSource = string | SourcePool

const ONE_OR_MORE = 'an IP address, or an array of them'
const TAKES = 'an IP address, an array of them, or an instance of SourcePool'

/** The option of functions that connect. */
export const source = custom<Source, CheckedSource>(TAKES, (argument, value) => {
  if (value instanceof SourcePool) return value
  if (isList(value)) return knownPool(value) ?? sourceOf(checkAddresses(argument, value))
  if (typeof value !== 'string') throw new ArgumentTypeError(argument, TAKES, value)
  familyOf(argument, value)
  return value
})

/** The sources of a process that uses both families. */
export type SourcesByFamily = Readonly<Record<IpFamily, CheckedSource | undefined>>

/** The option of such a process. Each address serves the connections of its own family. */
export const sourcesByFamily = custom<string | readonly string[], SourcesByFamily>(
  ONE_OR_MORE,
  (argument, value) => {
    if (typeof value !== 'string' && !isList(value))
      throw new ArgumentTypeError(argument, ONE_OR_MORE, value)
    if (typeof value === 'string')
      return { 4: undefined, 6: undefined, [familyOf(argument, value)]: value }
    const all = checkAddresses(argument, value, { mixed: true })
    const ofFamily = (family: IpFamily): CheckedSource | undefined => {
      const [first, ...more] = all.filter((address) => familyOf(argument, address) === family)
      return first === undefined ? undefined : sourceOf([first, ...more])
    }
    return { 4: ofFamily(4), 6: ofFamily(6) }
  },
)

function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value)
}

/** Makes a source from checked addresses. An array of one address becomes that address. */
function sourceOf(addresses: readonly [string, ...string[]]): CheckedSource {
  if (addresses.length === 1) return addresses[0]
  const pool = new SourcePool(addresses)
  keep(JSON.stringify(addresses), pool)
  return pool
}

/**
 * The pools that this thread made from arrays, by their addresses; the most recently used one is last. A call of
 * connect() must find the pool of earlier calls: a new pool would choose the first address each time. A pool has
 * no descriptor and no timer, so dropping one here does not affect its users.
 */
const pools = new Map<string, SourcePool>()
const MOST_POOLS = 64

/** Finds the pool of an array with the same addresses. They were checked when the pool was made. */
function knownPool(addresses: readonly unknown[]): SourcePool | undefined {
  if (!addresses.every((address) => typeof address === 'string')) return undefined
  const key = JSON.stringify(addresses)
  const pool = pools.get(key)
  if (pool !== undefined) keep(key, pool)
  return pool
}

function keep(key: string, pool: SourcePool): void {
  pools.delete(key)
  pools.set(key, pool)
  const [oldest] = pools.keys()
  if (pools.size > MOST_POOLS && oldest !== undefined) pools.delete(oldest)
}
