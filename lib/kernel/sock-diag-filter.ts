/** Filters of inet_diag (sock_diag(7), linux/inet_diag.h): the kernel skips sockets that do not match. */
import { isIP } from 'node:net'
import { addressBytes } from './addresses'
import { native } from './binding'
import { Struct } from './bytes'
import {
  diagCodes as codes,
  diagConditionLayout as host,
  diagOperationLayout as operation,
} from './layouts'
import type { PortRange } from './proc'

export interface DumpFilter {
  /** An IPv4 address also matches ::ffff:a.b.c.d of an IPv6 socket. */
  readonly localAddress?: string | undefined
  readonly localPort?: number | undefined
  readonly remoteAddress?: string | undefined
  readonly remotePort?: number | undefined
  /** Local ports from `min` to `max`. */
  readonly localPortRange?: PortRange | undefined
}

const AF_UNSPEC = 0
const ANY_PORT = -1

/**
 * Returns the bytecode of a filter: its conditions in sequence. If a condition is met, the next one follows;
 * otherwise a jump past the end rejects the socket. Empty if everything matches.
 */
export function bytecodeOf(filter: DumpFilter): Uint8Array {
  const { localAddress, localPort, remoteAddress, remotePort, localPortRange } = filter
  const conditions = [
    portCondition(codes.sGe, localPortRange?.min),
    portCondition(codes.sLe, localPortRange?.max),
    condition(codes.sCond, localAddress, localPort),
    condition(codes.dCond, remoteAddress, remotePort),
  ].filter((bytes) => bytes !== undefined)
  let left = conditions.reduce((sum, { length }) => sum + length, 0)
  for (const bytes of conditions) {
    new Struct(bytes).setU8(operation.yes, bytes.length).setU16(operation.no, left + operation.size)
    left -= bytes.length
  }
  return Buffer.concat(conditions)
}

/** Returns one condition. The caller fills in its jumps. */
function condition(
  code: number,
  address: string | undefined,
  port: number | undefined,
): Uint8Array | undefined {
  if (address === undefined && port === undefined) return undefined
  const bytes = address === undefined ? new Uint8Array(0) : addressBytes(address)
  const result = new Uint8Array(operation.size + host.size + bytes.length)
  new Struct(result).setU8(operation.code, code)
  new Struct(result.subarray(operation.size))
    .setU8(host.family, addressFamily(address))
    .setU8(host.prefixLen, 8 * bytes.length)
    .setI32(host.port, port ?? ANY_PORT)
  result.set(bytes, operation.size + host.size)
  return result
}

/** Returns a condition on the port, which is stored in the jump field of a second operation. */
function portCondition(code: number, port: number | undefined): Uint8Array | undefined {
  if (port === undefined) return undefined
  const result = new Uint8Array(2 * operation.size)
  new Struct(result).setU8(operation.code, code)
  new Struct(result.subarray(operation.size)).setU16(operation.no, port)
  return result
}

function addressFamily(address: string | undefined): number {
  const { AF_INET = 0, AF_INET6 = 0 } = native.constants
  if (address === undefined) return AF_UNSPEC
  return isIP(address) === 6 ? AF_INET6 : AF_INET
}
