/** The destination that a diagnosis is for. */
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { ArgumentTypeError, ArgumentValueError, checkOptions, checkWhole } from '../errors'
import { isLoopback } from '../observe/address-text'

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
  if (typeof host !== 'string') {
    throw new ArgumentTypeError(`${argument}.host`, 'of type string', host)
  }
  if (host === '') throw new ArgumentValueError(`${argument}.host`, 'must not be empty', host)
  checkWhole(`${argument}.port`, port, 1, MAX_PORT)
  return { host, port }
}

/** Where Linux connects to when it is given no address. */
const reached = new Map([
  ['0.0.0.0', '127.0.0.1'],
  ['::', '::1'],
])

/** @throws (as a rejection) what dns.lookup() gives, as ENOTFOUND */
export async function resolveTarget(target: DiagnosisTarget): Promise<ResolvedTarget> {
  const { host } = target
  const found = isIP(host) === 0 ? await lookup(host, { all: true }) : [{ address: host }]
  const addresses = found.map(({ address }) => reached.get(address) ?? address)
  return { ...target, addresses, loopback: addresses.every(isLoopback) }
}
