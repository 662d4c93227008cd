/** The destination that a diagnosis is for. */
import { realPort } from '../connect/address'
import { isLoopback } from '../kernel/addresses'
import { addressesOf, hostOption } from '../ports/place'
import { custom, spec, type InputOf } from '../spec'

export const diagnosisTarget = spec({
  /** An IP address or a host name. */
  host: custom<string>('an IP address or a host name', (argument, value) => {
    hostOption.required().check(argument, value)
    return value as string
  }).required(),
  /** 1 to 65535 */
  port: realPort.required(),
})

/** A host name or an IP address, and a port from 1 to 65535. */
export type DiagnosisTarget = Readonly<InputOf<typeof diagnosisTarget>>

export interface ResolvedTarget extends DiagnosisTarget {
  readonly addresses: readonly string[]
  /** All of its addresses are loopback ones, as net.ipv4.tcp_tw_reuse=2 means it. */
  readonly loopback: boolean
}

/** @throws (as a rejection) what dns.lookup() gives, as ENOTFOUND */
export async function resolveTarget(target: DiagnosisTarget): Promise<ResolvedTarget> {
  const addresses = await addressesOf(target.host)
  return { ...target, addresses, loopback: addresses.every(isLoopback) }
}
