/** Filters of inet_diag (sock_diag(7), linux/inet_diag.h): the kernel passes over what they do not match. */
import { isIP } from 'node:net'
import type { PortRange } from './proc'
import { addressBytes } from './addresses'

export interface DumpFilter {
  /** An IPv4 address matches what an IPv6 socket has as ::ffff:a.b.c.d too. */
  readonly localAddress?: string | undefined
  readonly localPort?: number | undefined
  readonly remoteAddress?: string | undefined
  readonly remotePort?: number | undefined
  /** Local ports from `min` to `max`. */
  readonly localPortRange?: PortRange | undefined
}

const SOURCE_PORT_FROM = 2
const SOURCE_PORT_TO = 3
const SOURCE_CONDITION = 7
const DESTINATION_CONDITION = 8
const AF_UNSPEC = 0
const AF_INET = 2
const AF_INET6 = 10
const ANY_PORT = -1

/** struct inet_diag_bc_op and struct inet_diag_hostcond. */
const OPERATION_BYTES = 4
const CONDITION_BYTES = 8

/**
 * The filter's bytecode: all of its conditions, one after the other. A condition that is met goes on to
 * the next one; one that is not jumps past the end, which means no. Empty when everything matches.
 */
export function bytecodeOf(filter: DumpFilter): Uint8Array {
  const { localAddress, localPort, remoteAddress, remotePort, localPortRange } = filter
  const conditions = [
    portCondition(SOURCE_PORT_FROM, localPortRange?.min),
    portCondition(SOURCE_PORT_TO, localPortRange?.max),
    condition(SOURCE_CONDITION, localAddress, localPort),
    condition(DESTINATION_CONDITION, remoteAddress, remotePort),
  ].filter((bytes) => bytes !== undefined)
  let left = conditions.reduce((sum, { length }) => sum + length, 0)
  for (const bytes of conditions) {
    bytes.writeUInt8(bytes.length, 1)
    writeU16(bytes, left + OPERATION_BYTES, 2)
    left -= bytes.length
  }
  return Buffer.concat(conditions)
}

/** One condition, its jumps still open. */
function condition(
  code: number,
  address: string | undefined,
  port: number | undefined,
): Buffer | undefined {
  if (address === undefined && port === undefined) return undefined
  const bytes = address === undefined ? Buffer.alloc(0) : addressBytes(address)
  const result = Buffer.alloc(OPERATION_BYTES + CONDITION_BYTES + bytes.length)
  result.writeUInt8(code, 0)
  result.writeUInt8(addressFamily(address), OPERATION_BYTES)
  result.writeUInt8(8 * bytes.length, OPERATION_BYTES + 1)
  writeI32(result, port ?? ANY_PORT, OPERATION_BYTES + 4)
  bytes.copy(result, OPERATION_BYTES + CONDITION_BYTES)
  return result
}

/** The port stands where a second operation has its jump. */
function portCondition(code: number, port: number | undefined): Buffer | undefined {
  if (port === undefined) return undefined
  const result = Buffer.alloc(2 * OPERATION_BYTES)
  result.writeUInt8(code, 0)
  writeU16(result, port, OPERATION_BYTES + 2)
  return result
}

function addressFamily(address: string | undefined): number {
  if (address === undefined) return AF_UNSPEC
  return isIP(address) === 6 ? AF_INET6 : AF_INET
}

function writeU16(bytes: Buffer, value: number, offset: number): void {
  new Uint16Array(bytes.buffer, bytes.byteOffset + offset, 1)[0] = value
}

function writeI32(bytes: Buffer, value: number, offset: number): void {
  new Int32Array(bytes.buffer, bytes.byteOffset + offset, 1)[0] = value
}
