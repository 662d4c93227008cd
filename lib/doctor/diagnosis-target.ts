/** The destination that a diagnosis examines. */
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
  /** The port. */
  port: realPort.required(),
})

/** A host name or an IP address, and a port from 1 to 65535. */
export type DiagnosisTarget = Readonly<InputOf<typeof diagnosisTarget>>

export interface ResolvedTarget extends DiagnosisTarget {
  readonly addresses: readonly string[]
  /** Whether all its addresses are loopback in the sense of net.ipv4.tcp_tw_reuse=2. */
  readonly loopback: boolean
}

/** @throws (as a rejection) the error of dns.lookup(), for example ENOTFOUND */
export async function resolveTarget(target: DiagnosisTarget): Promise<ResolvedTarget> {
  const addresses = await addressesOf(target.host)
  return { ...target, addresses, loopback: addresses.every(isLoopback) }
}
