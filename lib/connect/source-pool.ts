import { ArgumentTypeError, ArgumentValueError } from '../errors'
import { zonedAddress } from '../kernel/addresses'
import { sizeOf, systemPortRange } from '../kernel/proc'
import { checkPort, endpoint, familyOf, wrongFamily, type IpFamily } from './address'
import { SourceLedger } from './source-ledger'

/** IPv6 addresses as they were written, and the one text for each: it takes 10 µs to find. */
const known = new Map<string, string>()
const MOST_KNOWN = 1024

/** The name of a destination in a ledger, however its address is written. */
export function destinationKey(address: string, port: number): string {
  if (!address.includes(':')) return endpoint(address, port)
  // Interfaces may come and go.
  if (address.includes('%')) return endpoint(zonedAddress(address), port)
  let text = known.get(address)
  if (text === undefined) {
    if (known.size === MOST_KNOWN) known.clear()
    text = zonedAddress(address)
    known.set(address, text)
  }
  return endpoint(text, port)
}

let readLedger: (pool: SourcePool) => SourceLedger

/** What connect() needs of a pool and callers do not. */
export function ledgerOf(pool: SourcePool): SourceLedger {
  return readLedger(pool)
}

/** How far one source address of a pool is used towards one destination, as far as the pool knows. */
export interface SourceUsage {
  readonly address: string
  /** Connections of this pool that are open or being opened. */
  readonly open: number
  /** Its connections that have been closed and left TIME_WAIT here, in the last 60 s. */
  readonly timeWait: number
  /** Ephemeral ports that are left by this count; undefined where the range is not known. */
  readonly free: number | undefined
}

/**
 * Source addresses for connections to come: each has ephemeral ports of its own towards each
 * destination, 28,232 by default. `connect({ source: pool })` takes the address with the most room
 * for its destination, and goes on to the next one where no port is free.
 *
 * The addresses must be on this host; no port is reserved by choosing one (IP_BIND_ADDRESS_NO_PORT,
 * ip(7)), so that each port serves every destination. One pool can serve any number of destinations
 * and of connections at once.
 */
export class SourcePool {
  readonly addresses: readonly string[]
  readonly family: IpFamily
  readonly #ledger: SourceLedger

  static {
    readLedger = (pool) => pool.#ledger
  }

  /**
   * @throws ERR_INVALID_ARG_TYPE; ERR_INVALID_ARG_VALUE for no address, for what is none, and for one
   *   that is there twice, however it is written; ERR_SOCKET_TUNER_ADDRESS_FAMILY for IPv4 and IPv6 together
   */
  constructor(addresses: readonly string[]) {
    if (!Array.isArray(addresses)) {
      throw new ArgumentTypeError('addresses', 'an array of IP addresses', addresses)
    }
    const copy: readonly string[] = [...(addresses as readonly string[])]
    const [first] = copy
    if (first === undefined)
      throw new ArgumentValueError('addresses', 'must have at least one address', addresses)
    this.family = familyOf('addresses[0]', first)
    const seen = new Map<string, number>()
    copy.forEach((address, index) => {
      const argument = `addresses[${String(index)}]`
      if (familyOf(argument, address) !== this.family)
        throw wrongFamily(argument, address, this.family)
      const before = seen.get(zonedAddress(address))
      if (before !== undefined) {
        const reason = `must not be there twice: it is addresses[${String(before)}]`
        throw new ArgumentValueError(argument, reason, address)
      }
      seen.set(zonedAddress(address), index)
    })
    this.addresses = Object.freeze(copy)
    this.#ledger = new SourceLedger(this.addresses)
  }

  /**
   * What this pool knows of its addresses towards one destination, with one read of /proc. Connections
   * of other programs to the same destination are not known to it.
   *
   * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE
   */
  usage(remoteAddress: string, remotePort: number): SourceUsage[] {
    familyOf('remoteAddress', remoteAddress)
    const range = systemPortRange()
    const port = checkPort('remotePort', remotePort)
    const counts = this.#ledger.counts(destinationKey(remoteAddress, port))
    return this.addresses.map((address, index) => {
      const { open = 0, timeWait = 0 } = counts[index] ?? {}
      const free = range === undefined ? undefined : Math.max(0, sizeOf(range) - open - timeWait)
      return { address, open, timeWait, free }
    })
  }
}
