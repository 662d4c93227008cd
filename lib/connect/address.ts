/** Checks of the addresses and ports that callers pass. */
import { isIP } from 'node:net'
import { ArgumentTypeError, ArgumentValueError, SocketTunerError, checkWhole } from '../errors'
import { zonedAddress } from '../kernel/addresses'
import { MAX_PORT } from '../kernel/proc'
import { custom, whole } from '../spec'

export type IpFamily = 4 | 6

/** The field for an IP address in an options bag. */
export const ipAddress = custom<string>('an IP address', (argument, value) => {
  familyOf(argument, value)
  return value as string
})

/** A port, or 0 for one that the kernel chooses. */
export const anyPort = whole(0, MAX_PORT)

/** A port to connect to. */
export const realPort = whole(1, MAX_PORT)

/** Returns the family of an IP address. @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE */
export function familyOf(argument: string, address: unknown): IpFamily {
  if (typeof address !== 'string') throw new ArgumentTypeError(argument, 'of type string', address)
  const family = isIP(address)
  if (family === 0) throw new ArgumentValueError(argument, 'must be an IP address', address)
  return family as IpFamily
}

/**
 * Checks a list of IP addresses. It must have at least one, and no address twice, in whatever notation.
 *
 * @param mixed permits addresses of both families
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_SOCKET_TUNER_ADDRESS_FAMILY
 */
export function checkAddresses(
  argument: string,
  addresses: unknown,
  { mixed = false }: { readonly mixed?: boolean } = {},
): readonly [string, ...string[]] {
  if (!Array.isArray(addresses))
    throw new ArgumentTypeError(argument, 'an array of IP addresses', addresses)
  const seen = new Map<string, string>()
  const checked = Array.from(addresses, (address: unknown, index) => {
    const element = `${argument}[${String(index)}]`
    const family = familyOf(element, address)
    const needed = mixed ? family : familyOf(`${argument}[0]`, addresses[0])
    if (family !== needed) throw wrongFamily(element, address as string, needed)
    const key = zonedAddress(address as string)
    const before = seen.get(key)
    if (before !== undefined)
      throw new ArgumentValueError(element, `must not be the same address as ${before}`, address)
    seen.set(key, element)
    return address as string
  })
  const [first, ...more] = checked
  if (first === undefined)
    throw new ArgumentValueError(argument, 'must have at least one address', addresses)
  return [first, ...more]
}

/** Accepts `4`, `6`, `'IPv4'`, `'IPv6'`; `0` and undefined mean either. @throws ERR_INVALID_ARG_VALUE */
export function checkFamily(argument: string, family: unknown): IpFamily | 0 {
  switch (family) {
    case undefined:
    case 0:
      return 0
    case 4:
    case 'IPv4':
      return 4
    case 6:
    case 'IPv6':
      return 6
    default:
      throw new ArgumentValueError(argument, "must be one of: 4, 6, 'IPv4', 'IPv6'", family)
  }
}

/** Checks a port from 0 to 65535; undefined means 0. @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE */
export function checkPort(argument: string, port: unknown): number {
  if (port === undefined) return 0
  checkWhole(argument, port, 0, MAX_PORT)
  return port
}

/** Returns the error for an address whose family differs from that of the other end. */
export function wrongFamily(argument: string, address: string, needed: IpFamily): SocketTunerError {
  return new SocketTunerError(
    `${argument} ${address} is an IPv${String(isIP(address))} address where an IPv${String(needed)} one is needed`,
    { code: 'ERR_SOCKET_TUNER_ADDRESS_FAMILY', address },
  )
}

/** Formats an address and a port: `1.2.3.4:80`, `[::1]:80`. */
export function endpoint(address: string, port: number): string {
  return isIP(address) === 6 ? `[${address}]:${String(port)}` : `${address}:${String(port)}`
}
