/** Derives the plan of a run from its options. */
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { familyOf, type IpFamily } from '../connect/address'
import { SourcePool } from '../connect/source-pool'
import type { PortPlace } from './kernel-watch'
import type { CheckedStress } from './options'
import type { StressPlan, StressTargetInfo } from './result'

const DEFAULT_DURATION_MS = 10_000

export function planOf(options: CheckedStress): StressPlan {
  const { ratePerSecond = null, requestsPerConnection, close, amount = null } = options
  const durationMs = durationOf(options)
  return {
    loop: ratePerSecond === null ? 'closed' : 'open',
    connections: options.connections,
    ratePerSecond,
    arrivals: ratePerSecond === null ? null : options.arrivals,
    connectionsPerSecond: options.connectionsPerSecond ?? null,
    requestsPerConnection: requestsPerConnection === 'keep-alive' ? null : requestsPerConnection,
    close: close === 'server' ? close : close.mode.name,
    durationMs: durationMs === Infinity ? null : durationMs,
    amount,
    warmupMs: options.warmupMs,
    timeoutMs: options.timeoutMs,
    sources: sourcesOf(options),
    workers: options.workers,
  }
}

/** The length of the measured run, ms; Infinity if only its amount is limited. */
export function durationOf({ durationMs, amount }: CheckedStress): number {
  return durationMs ?? (amount === undefined ? DEFAULT_DURATION_MS : Infinity)
}

/**
 * Looks the host up, in the family of the source.
 *
 * @throws (as a rejection) the error of dns.lookup(), for example ENOTFOUND
 */
export async function resolveTarget(options: CheckedStress): Promise<StressTargetInfo> {
  const { url, protocol, host, port } = options.target
  const family = familyIn(options)
  const address = isIP(host) === 0 ? await addressOf(host, family) : host
  return { url, protocol, host, address, port }
}

async function addressOf(host: string, family: IpFamily | 0): Promise<string> {
  try {
    return (await lookup(host, { family })).address
  } catch (error) {
    if (family !== 0)
      (error as Error).message += ` (an IPv${String(family)} address, as that of the source)`
    throw error
  }
}

/** The addresses between which the run uses ports. */
export function placeOf(options: CheckedStress, { address, port }: StressTargetInfo): PortPlace {
  const { portRange } = options
  const range = portRange === 'kernel' ? undefined : portRange
  return { address, port, sources: sourcesOf(options), portRange: range }
}

/** The family of the source; 0 without one. */
function familyIn({ source }: CheckedStress): IpFamily | 0 {
  if (source === undefined) return 0
  return source instanceof SourcePool ? source.family : familyOf('source', source)
}

/** The source addresses; empty if the kernel chooses. */
export function sourcesOf({ source }: CheckedStress): readonly string[] {
  if (source === undefined) return []
  return source instanceof SourcePool ? source.addresses : [source]
}
