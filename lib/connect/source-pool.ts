import { zonedAddress } from '../kernel/addresses'
import { sizeOf, systemPortRange } from '../kernel/proc'
import { checkAddresses, checkPort, endpoint, familyOf, type IpFamily } from './address'
import { SourceLedger } from './source-ledger'

/** Caches the canonical text of IPv6 addresses, by their notation: computing it takes 10 µs. */
const known = new Map<string, string>()
const MOST_KNOWN = 1024

/** Returns the key of a destination in a ledger, the same for every notation of its address. */
export function destinationKey(address: string, port: number): string {
  if (!address.includes(':')) return endpoint(address, port)
  // Not cached: interfaces may come and go.
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

/** Returns the ledger of a pool, which is not public. */
export function ledgerOf(pool: SourcePool): SourceLedger {
  return readLedger(pool)
}

/** The use of one source address of a pool for one destination, by connections of this pool. */
export interface SourceUsage {
  readonly address: string
  /** Connections that are open or being opened. */
  readonly open: number
  /** Connections that were closed in the last 60 s and left TIME_WAIT on this host. */
  readonly timeWait: number
  /** Ephemeral ports that are left by this count; undefined if the range is unknown. */
  readonly free: number | undefined
}

/**
 * A pool of source addresses. Each address has its own ephemeral ports for each destination, 28,232 by default.
 * `connect({ source: pool })` uses the address with the most free ports for its destination, and the next one
 * if no port is free.
 *
 * The addresses must belong to this host. Binding to one does not reserve a port (IP_BIND_ADDRESS_NO_PORT,
 * ip(7)), so each port can be used for every destination. One pool can serve any number of destinations and
 * connections.
 */
export class SourcePool {
  readonly addresses: readonly string[]
  readonly family: IpFamily
  readonly #ledger: SourceLedger

  static {
    readLedger = (pool) => pool.#ledger
  }

  /**
   * @throws ERR_INVALID_ARG_TYPE; ERR_INVALID_ARG_VALUE for an empty list, an invalid address, or the same
   *   address twice, in whatever notation; ERR_SOCKET_TUNER_ADDRESS_FAMILY for a mix of IPv4 and IPv6
   */
  constructor(addresses: readonly string[]) {
    const checked = checkAddresses('addresses', addresses)
    this.family = familyOf('addresses[0]', checked[0])
    this.addresses = Object.freeze(checked)
    this.#ledger = new SourceLedger(this.addresses)
  }

  /**
   * Returns the use of each address for one destination, with one read of /proc. Connections of other programs
   * to the same destination are not counted.
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
