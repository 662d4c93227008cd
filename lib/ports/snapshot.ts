/** One look at the ports towards a destination: the only place that decides which of them are taken. */
import { connectedStates, tcpStates } from '../observe/tcp-info'
import { BOTH_FAMILIES, dumpSockets, IPV6_ONLY, type SocketRecords } from './dump'
import { bytecodeOf } from './filter'
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
  /** Processor time that it took, in threads of the pool, ms. */
  readonly processorMs: number
}

const LISTEN = tcpStates.indexOf('LISTEN')

/** @throws (as a rejection) as {@link dumpSockets} and {@link rulesOf} do */
export async function takeSnapshot(place: Place): Promise<Snapshot> {
  const rules = rulesOf(place)
  const { family, localAddress, remoteAddress, remotePort } = place
  const localPortRange = rules.range
  const families = family === 6 ? IPV6_ONLY : BOTH_FAMILIES
  // bind(2) takes a port from connect(2) for all addresses and both families.
  const [owned, sockets] = await Promise.all([
    dumpSockets({
      families: BOTH_FAMILIES,
      states: ['LISTEN'],
      bound: true,
      groupBy: ['localPort', 'state'],
      filter: bytecodeOf({ localPortRange }),
    }),
    dumpSockets({
      families,
      states: connectedStates,
      groupBy: ['localPort', 'state'],
      filter: bytecodeOf({ localAddress, remoteAddress, remotePort, localPortRange }),
    }),
  ])
  const ports = new PortMap(rules.range)
  ports.enter(sockets.records)
  const usable = ports.passOver({ reserved: rules.reserved, ...ownersOf(owned.records) })
  return {
    place,
    rules,
    ports,
    usable,
    interrupted: owned.interrupted || sockets.interrupted,
    at: performance.now(),
    processorMs: owned.processorMs + sockets.processorMs,
  }
}

function ownersOf(records: SocketRecords): { listening: number[]; bound: number[] } {
  const listening: number[] = []
  const bound: number[] = []
  for (let index = 0; index < records.length; index++) {
    const of = records.stateNumber(index) === LISTEN ? listening : bound
    of.push(records.localPort(index))
  }
  return { listening, bound }
}
