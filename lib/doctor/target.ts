/** The destination that a diagnosis is for. */
import { checkOptions, checkWhole } from '../errors'
import { isLoopback } from '../observe/address-text'
import { addressesOf, checkHost } from '../ports/place'

/** A host name or an IP address, and a port from 1 to 65535. */
export interface DiagnosisTarget {
  readonly host: string
  readonly port: number
}

export interface ResolvedTarget extends DiagnosisTarget {
  readonly addresses: readonly string[]
  /** All of its addresses are loopback ones, as net.ipv4.tcp_tw_reuse=2 means it. */
  readonly loopback: boolean
}

const MAX_PORT = 65535

/**
 * @param argument what messages call it
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE
 */
export function checkTarget(target: DiagnosisTarget, argument = 'options.target'): DiagnosisTarget {
  checkOptions(argument, target)
  const { host, port } = target as { host: unknown; port: unknown }
  checkHost(`${argument}.host`, host)
  checkWhole(`${argument}.port`, port, 1, MAX_PORT)
  return { host: host as string, port }
}

/** @throws (as a rejection) what dns.lookup() gives, as ENOTFOUND */
export async function resolveTarget(target: DiagnosisTarget): Promise<ResolvedTarget> {
  const addresses = await addressesOf(target.host)
  return { ...target, addresses, loopback: addresses.every(isLoopback) }
}
