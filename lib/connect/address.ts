/** Addresses and ports as callers give them, checked. */
import { isIP } from 'node:net'
import { ArgumentTypeError, ArgumentValueError, SocketTunerError, checkWhole } from '../errors'
import { custom, whole } from '../spec'

export type IpFamily = 4 | 6

const MAX_PORT = 65535

/** An IP address, for a table of options. */
export const ipAddress = custom<string>('an IP address', (argument, value) => {
  familyOf(argument, value)
  return value as string
})

/** A port, or 0 for one that the kernel chooses. */
export const anyPort = whole(0, MAX_PORT)

/** A port that something can be connected to. */
export const realPort = whole(1, MAX_PORT)

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
export function wrongFamily(argument: string, address: string, needed: IpFamily): SocketTunerError {
  return new SocketTunerError(
    `${argument} ${address} is an IPv${String(isIP(address))} address where an IPv${String(needed)} one is needed`,
    { code: 'ERR_SOCKET_TUNER_ADDRESS_FAMILY', address },
  )
}

/** `1.2.3.4:80` and `[::1]:80`. */
export function endpoint(address: string, port: number): string {
  return isIP(address) === 6 ? `[${address}]:${String(port)}` : `${address}:${String(port)}`
}
