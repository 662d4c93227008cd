/** Explains why a connect() found no port: the text of its error. */
import { constants as os } from 'node:os'
import { sizeOf, systemPortRange, timeWaitReuse, timeWaitTotal } from '../kernel/proc'
import { endpoint, type IpFamily } from './address'
import { sourceFor } from './local-address'

/** The negated errno of connect(2) without a free port. */
export const NO_PORT_FREE = -os.errno.EADDRNOTAVAIL

/** A connect() that found no port. */
export interface Exhausted {
  readonly family: IpFamily
  readonly address: string
  readonly port: number
  /** The source address that the caller chose, if any. */
  readonly localAddress: string | undefined
  /** 0 for an ephemeral one. */
  readonly localPort: number
  /** The number of source addresses in the pool, if there is one. */
  readonly poolSize: number | undefined
  /** The caller narrowed the port range. */
  readonly confined: boolean
  /** The time that the connection waited for a port, ms. */
  readonly waitedMs?: number | undefined
}

/** The explanation for the error. */
interface ExhaustionText {
  readonly why: string
  readonly space: 'tuple' | undefined
  readonly timeWait: number | undefined
}

/**
 * EADDRNOTAVAIL from connect(2) has three causes: all ephemeral ports from this source to this destination are
 * in use; the requested local port is in use; or the host has no source address for the destination, for
 * example for ::1 on a host without IPv6.
 */
export function exhaustionText(exhausted: Exhausted): ExhaustionText {
  const { address, localPort } = exhausted
  if (!hasSourceFor(exhausted)) {
    const why = `this host has no source address for ${address}`
    return { why, space: undefined, timeWait: undefined }
  }
  const timeWait = timeWaitTotal()
  const why = localPort > 0 ? fixedPort(exhausted) : noPort(exhausted, timeWait)
  return { why, space: 'tuple', timeWait }
}

function fixedPort({ localPort, address, port }: Exhausted): string {
  return (
    `a connection from local port ${String(localPort)} to ${endpoint(address, port)} already exists, ` +
    'perhaps in TIME_WAIT. Remedy: do not fix the local port'
  )
}

function noPort(exhausted: Exhausted, timeWait: number | undefined): string {
  const { address, port, localAddress, poolSize, confined, waitedMs } = exhausted
  const range = systemPortRange()
  const ports =
    confined || range === undefined
      ? 'all ports of the range'
      : `all ${String(sizeOf(range))} ephemeral ports (${String(range.min)} to ${String(range.max)})`
  const from =
    poolSize === undefined
      ? `from ${localAddress ?? 'this source'}`
      : `from each of the ${String(poolSize)} source addresses`
  const waiting =
    timeWait === undefined
      ? ''
      : `; ${String(timeWait)} sockets of this network namespace are in TIME_WAIT`
  const waited =
    waitedMs === undefined
      ? ''
      : `, and none became free within ${String(waitedMs)} ms (portWaitMs)`
  return `${ports} ${from} to ${endpoint(address, port)} are in use${waited}${waiting}. Remedies: ${remedies(exhausted).join('; ')}`
}

function remedies({ poolSize, confined }: Exhausted): string[] {
  const reuse = timeWaitReuse()
  return [
    'keep connections open and reuse them',
    "close: 'deliver', which leaves no TIME_WAIT",
    poolSize === undefined ? 'a SourcePool with several source addresses' : 'more source addresses',
    confined ? 'a wider portRange' : 'a wider net.ipv4.ip_local_port_range',
    ...(reuse === undefined || reuse === 1
      ? []
      : [`net.ipv4.tcp_tw_reuse=1 (it is ${String(reuse)})`]),
  ]
}

/** Whether the kernel has a source address for the destination. True if that cannot be determined. */
export function hasSourceFor({
  family,
  address,
  localAddress,
}: Pick<Exhausted, 'family' | 'address' | 'localAddress'>): boolean {
  if (localAddress !== undefined) return true
  const source = sourceFor(family, address)
  return typeof source === 'string' || source === -os.errno.EMFILE || source === -os.errno.ENFILE
}
