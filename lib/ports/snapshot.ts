/** One look at the ports towards a destination: the only place that decides which of them are taken. */
import { BOTH_FAMILIES, dumpSockets, IPV6_ONLY } from '../kernel/sock-diag'
import { bytecodeOf } from '../kernel/sock-diag-filter'
import { connectedStates, tcpStates } from '../kernel/tcp-states'
import { rulesOf, type Place, type PortRules } from './place'
import { PortMap, type UsablePorts } from './port-map'

export interface Snapshot {
  readonly place: Place
  readonly rules: PortRules
  /** Those that are reserved, listened on or bound are closed off. */
  readonly ports: PortMap
  readonly usable: UsablePorts
  /** The kernel's table changed under the count, three times in a row. */
  readonly interrupted: boolean
  /** Monotonic, ms. */
  readonly at: number
  /** Processor time that it took, in a thread of the pool and without that for the owners, ms. */
  readonly processorMs: number
}

/** Ports that belong to a socket without being those of a connection, at one moment. */
export interface PortOwners {
  readonly listening: readonly number[]
  readonly bound: readonly number[]
  readonly interrupted: boolean
  /** Processor time that it took, in a thread of the pool, ms. */
  readonly processorMs: number
}

const LISTEN = tcpStates.indexOf('LISTEN')

/**
 * What all places of one look have in common: bind(2) takes a port from connect(2) for all addresses and
 * both families. The kernel walks all ports for it, which costs as much as a walk over all connections.
 *
 * @throws (as a rejection) as {@link dumpSockets} does
 */
export async function readOwners(): Promise<PortOwners> {
  const { records, interrupted, processorMs } = await dumpSockets({
    families: BOTH_FAMILIES,
    states: ['LISTEN'],
    bound: true,
    groupBy: ['localPort', 'state'],
    filter: bytecodeOf({}),
  })
  const listening: number[] = []
  const bound: number[] = []
  for (let index = 0; index < records.length; index++) {
    const owned = records.stateNumber(index) === LISTEN ? listening : bound
    owned.push(records.localPort(index))
  }
  return { listening, bound, interrupted, processorMs }
}

/** @throws (as a rejection) as {@link dumpSockets} and {@link rulesOf} do */
export async function takeSnapshot(place: Place, owners: PortOwners): Promise<Snapshot> {
  const rules = rulesOf(place)
  const { family, localAddress, remoteAddress, remotePort } = place
  const localPortRange = rules.range
  const { records, interrupted, processorMs } = await dumpSockets({
    families: family === 6 ? IPV6_ONLY : BOTH_FAMILIES,
    states: connectedStates,
    groupBy: ['localPort', 'state'],
    filter: bytecodeOf({ localAddress, remoteAddress, remotePort, localPortRange }),
  })
  const ports = new PortMap(rules.range)
  ports.enter(records)
  const { listening, bound } = owners
  return {
    place,
    rules,
    ports,
    usable: ports.passOver({ reserved: rules.reserved, listening, bound }),
    interrupted: interrupted || owners.interrupted,
    at: performance.now(),
    processorMs,
  }
}
