import { BlockList, isIP } from 'node:net'
import type { IpFamily } from '../../connect/address'
import { ArgumentTypeError, ArgumentValueError, checkWhole } from '../../errors'

/** Which sockets are meant: by the destination of a client, by the own address of a server. */
export class Match {
  /** Undefined: all. */
  #addresses: BlockList | undefined
  #ports: Set<number> | undefined

  /** `192.0.2.7`, `10.0.0.0/8`, `::1`, `fc00::/7`. @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE */
  addAddress(pattern: unknown): void {
    if (typeof pattern !== 'string')
      throw new ArgumentTypeError('addresses', 'an array of strings', pattern)
    const [address = '', prefix] = pattern.split('/')
    const family = isIP(address)
    if (family === 0 || (prefix !== undefined && !/^\d{1,3}$/.test(prefix))) {
      const reason = 'must have IP addresses, or networks such as 10.0.0.0/8'
      throw new ArgumentValueError('addresses', reason, pattern)
    }
    this.#addresses ??= new BlockList()
    if (prefix === undefined) this.#addresses.addAddress(address, typeOf(family as IpFamily))
    else this.#addresses.addSubnet(address, Number(prefix), typeOf(family as IpFamily))
  }

  /** @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE */
  addPort(port: unknown): void {
    checkWhole('ports', port, 1, 65535)
    this.#ports ??= new Set()
    this.#ports.add(port)
  }

  has(address: string, port: number, family: IpFamily): boolean {
    if (this.#ports?.has(port) === false) return false
    return this.#addresses?.check(address, typeOf(family)) !== false
  }
}

function typeOf(family: IpFamily): 'ipv4' | 'ipv6' {
  return family === 6 ? 'ipv6' : 'ipv4'
}
