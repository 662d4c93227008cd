/** Why a connect() found no port, in full. */
import { constants as os } from 'node:os'
import { sizeOf, systemPortRange, timeWaitReuse, timeWaitTotal } from '../kernel/proc'
import { endpoint, type IpFamily } from './address'
import { sourceFor } from './source-for'

/** A connect() that was refused for want of a port. */
export interface Exhausted {
  readonly family: IpFamily
  readonly address: string
  readonly port: number
  /** The source that was asked for, if one was. */
  readonly localAddress: string | undefined
  /** 0 for an ephemeral one. */
  readonly localPort: number
  /** Source addresses of the pool, if there was one. */
  readonly poolSize: number | undefined
  /** The ports were confined by the caller. */
  readonly confined: boolean
}

/** What the error says of it. */
export interface ExhaustionText {
  readonly why: string
  readonly space: 'tuple' | undefined
  readonly timeWait: number | undefined
}

/**
 * EADDRNOTAVAIL from connect(2) has three causes: every ephemeral port from this source to this
 * destination is taken; the one port that was asked for is; or there is no source address for the
 * destination at all, as for ::1 on a host without IPv6.
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
    `a connection from local port ${String(localPort)} to ${endpoint(address, port)} exists already, ` +
    'perhaps in TIME_WAIT. What helps: no fixed local port'
  )
}

function noPort(exhausted: Exhausted, timeWait: number | undefined): string {
  const { address, port, localAddress, poolSize, confined } = exhausted
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
  return `${ports} ${from} to ${endpoint(address, port)} are taken${waiting}. What helps: ${remedies(exhausted).join('; ')}`
}

function remedies({ poolSize, confined }: Exhausted): string[] {
  const reuse = timeWaitReuse()
  return [
    'keep connections open and use them again',
    "close: 'deliver', which leaves no TIME_WAIT",
    poolSize === undefined ? 'a SourcePool of several source addresses' : 'more source addresses',
    confined ? 'a wider portRange' : 'a wider net.ipv4.ip_local_port_range',
    ...(reuse === undefined || reuse === 1
      ? []
      : [`net.ipv4.tcp_tw_reuse=1 (it is ${String(reuse)})`]),
  ]
}

/** Whether the kernel finds a source for the destination, as far as it can be told. */
function hasSourceFor({ family, address, localAddress }: Exhausted): boolean {
  if (localAddress !== undefined) return true
  const source = sourceFor(family, address)
  return typeof source === 'string' || source === -os.errno.EMFILE || source === -os.errno.ENFILE
}
