import { BlockList, isIP } from 'node:net'
import type { IpFamily } from '../connect/address'
import { ArgumentTypeError, ArgumentValueError } from '../errors'
import { custom } from '../spec'

/** An address or a network: `192.0.2.7`, `10.0.0.0/8`, `::1`, `fc00::/7`. */
export const networkPattern = custom<string, NetworkPattern>(
  'an IP address, or a network such as 10.0.0.0/8',
  (argument, pattern) => {
    if (typeof pattern !== 'string')
      throw new ArgumentTypeError(argument, 'of type string', pattern)
    const [address = '', prefix] = pattern.split('/')
    const family = isIP(address)
    const bits = prefix === undefined ? undefined : Number(prefix)
    const most = family === 6 ? 128 : 32
    if (family === 0 || (prefix !== undefined && !/^\d{1,3}$/.test(prefix)) || (bits ?? 0) > most) {
      const reason = 'must be an IP address, or a network such as 10.0.0.0/8'
      throw new ArgumentValueError(argument, reason, pattern)
    }
    return { address, family: family as IpFamily, bits }
  },
)

export interface NetworkPattern {
  readonly address: string
  readonly family: IpFamily
  /** The length of the prefix; undefined for a single address. */
  readonly bits: number | undefined
}

/** Selects sockets: clients by their destination, servers by their local address. */
export class Match {
  /** Undefined: all addresses. */
  readonly #addresses: BlockList | undefined
  readonly #ports: ReadonlySet<number> | undefined

  constructor(
    patterns: readonly NetworkPattern[] | undefined,
    ports: readonly number[] | undefined,
  ) {
    this.#addresses = patterns === undefined ? undefined : new BlockList()
    for (const { address, family, bits } of patterns ?? []) {
      if (bits === undefined) this.#addresses?.addAddress(address, typeOf(family))
      else this.#addresses?.addSubnet(address, bits, typeOf(family))
    }
    this.#ports = ports === undefined ? undefined : new Set(ports)
  }

  has(address: string, port: number, family: IpFamily): boolean {
    if (this.#ports?.has(port) === false) return false
    return this.#addresses?.check(address, typeOf(family)) !== false
  }
}

function typeOf(family: IpFamily): 'ipv4' | 'ipv6' {
  return family === 6 ? 'ipv6' : 'ipv4'
}
