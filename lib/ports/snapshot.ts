/** Takes a snapshot of the ports for a destination. Only this file decides which ports are in use. */
import { BOTH_FAMILIES, dumpSockets, IPV6_ONLY } from '../kernel/sock-diag'
import { bytecodeOf } from '../kernel/sock-diag-filter'
import { connectedStates, tcpStates } from '../kernel/tcp-states'
import { rulesOf, type Place, type PortRules } from './place'
import { PortMap, type UsablePorts } from './port-map'

export interface Snapshot {
  readonly place: Place
  readonly rules: PortRules
  /** Reserved, listening and bound ports are marked as skipped. */
  readonly ports: PortMap
  readonly usable: UsablePorts
  /** Whether the kernel's table changed during the count, three times in a row. */
  readonly interrupted: boolean
  /** The time, on the monotonic clock, ms. */
  readonly at: number
  /** Processor time in the thread of the pool, without that of the owners, ms. */
  readonly processorMs: number
}

/** The ports of sockets without a connection, at one moment. */
export interface PortOwners {
  readonly listening: readonly number[]
  readonly bound: readonly number[]
  readonly interrupted: boolean
  /** Processor time in the thread of the pool, ms. */
  readonly processorMs: number
}

const LISTEN = tcpStates.indexOf('LISTEN')

/**
 * Reads the listening and bound ports, which all places share: bind(2) blocks a port for all addresses of both
 * families. The kernel walks all ports for it, which costs as much as a walk over all connections.
 *
 * @throws (as a rejection) what {@link dumpSockets} throws
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

/** @throws (as a rejection) what {@link dumpSockets} and {@link rulesOf} throw */
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
