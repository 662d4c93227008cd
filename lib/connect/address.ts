/** Addresses and ports as callers give them, checked. */
import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import { getSystemErrorName } from 'node:util'
import {
  ArgumentTypeError,
  ArgumentValueError,
  SocketOptionError,
  checkWhole,
  type SocketOptionErrorFields,
} from '../errors'

export type IpFamily = 4 | 6

const MAX_PORT = 65535

/** The family of an IP address. @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE */
export function familyOf(argument: string, address: unknown): IpFamily {
  if (typeof address !== 'string') throw new ArgumentTypeError(argument, 'of type string', address)
  const family = isIP(address)
  if (family === 0) throw new ArgumentValueError(argument, 'must be an IP address', address)
  return family as IpFamily
}

/** `4`, `6`, `'IPv4'`, `'IPv6'`, or `0` and undefined for either. @throws ERR_INVALID_ARG_VALUE */
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

/** A whole number from 0 to 65535; undefined is 0. @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE */
export function checkPort(argument: string, port: unknown): number {
  if (port === undefined) return 0
  checkWhole(argument, port, 0, MAX_PORT)
  return port
}

/** The error for an address that is not of the family that the other end has. */
export function wrongFamily(
  argument: string,
  address: string,
  needed: IpFamily,
): SocketOptionError {
  return new SocketOptionError(
    `${argument} ${address} is an IPv${String(isIP(address))} address where an IPv${String(needed)} one is needed`,
    { code: 'ERR_SOCKET_TUNER_ADDRESS_FAMILY', address },
  )
}

/** `1.2.3.4:80` and `[::1]:80`. */
export function endpoint(address: string, port: number): string {
  return isIP(address) === 6 ? `[${address}]:${String(port)}` : `${address}:${String(port)}`
}

/** The error for bind(2) of `address`, as Node names its parts. */
export function bindFailure(
  errno: number,
  address: string,
  port: number,
  fields: Partial<SocketOptionErrorFields> = {},
): SocketOptionError {
  const code = getSystemErrorName(errno)
  const where = endpoint(address, port)
  return new SocketOptionError(`bind ${code} ${where}${bindReason(code, address, port)}`, {
    errno,
    syscall: 'bind',
    address,
    port,
    ...fields,
    code,
  })
}

/** Why bind(2) refuses an address and port, after a colon; empty where there is nothing to add. */
export function bindReason(code: string, address: string, port: number): string {
  switch (code) {
    case 'EINVAL':
      return zoneReason(address)
    case 'EADDRNOTAVAIL':
      return `: ${address} is not an address of this host`
    case 'EADDRINUSE':
      return port === 0
        ? ': bind() found no port that is free for all destinations; with IP_BIND_ADDRESS_NO_PORT it need not be'
        : `: another socket has port ${String(port)}`
    case 'EACCES':
      return `: port ${String(port)} needs CAP_NET_BIND_SERVICE (net.ipv4.ip_unprivileged_port_start)`
    default:
      return ''
  }
}

/** The usual reasons why bind(2) refuses a link-local address. */
function zoneReason(address: string): string {
  const [, zone] = address.split('%')
  if (zone === undefined) {
    return /^fe[89ab]/i.test(address)
      ? `: a link-local address needs its interface, as in ${address}%eth0`
      : ''
  }
  const isKnown = /^\d+$/.test(zone) || Object.hasOwn(networkInterfaces(), zone)
  return isKnown ? '' : `: there is no interface '${zone}', or it has no address`
}
