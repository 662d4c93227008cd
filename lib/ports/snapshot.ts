/** One look at the ports towards a destination. */
import { connectedStates } from '../observe/tcp-info'
import { BOTH_FAMILIES, dumpSockets, IPV6_ONLY } from './dump'
import { bytecodeOf } from './filter'
import { rulesOf, type Place, type PortRules } from './place'
import { PortMap } from './port-map'

export interface Snapshot {
  readonly place: Place
  readonly rules: PortRules
  readonly ports: PortMap
  /** Ports of the range that nobody connects from: reserved, and those with a listener. */
  readonly reserved: number
  readonly listening: number
  /** Monotonic, ms. */
  readonly at: number
  /** Processor time that it took, in threads of the pool, ms. */
  readonly processorMs: number
}

/** @throws (as a rejection) as {@link dumpSockets} and {@link rulesOf} do */
export async function takeSnapshot(place: Place): Promise<Snapshot> {
  const rules = rulesOf(place)
  const { family, localAddress, remoteAddress, remotePort } = place
  const localPortRange = rules.range
  const families = family === 6 ? IPV6_ONLY : BOTH_FAMILIES
  const [listeners, sockets] = await Promise.all([
    dumpSockets({
      families: BOTH_FAMILIES,
      states: ['LISTEN'],
      groupBy: ['localPort'],
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
  const reserved = rules.reserved.reduce((sum, range) => sum + ports.closeOff(range), 0)
  let listening = 0
  for (let index = 0; index < listeners.records.length; index++) {
    const port = listeners.records.localPort(index)
    listening += ports.closeOff({ min: port, max: port })
  }
  const processorMs = listeners.processorMs + sockets.processorMs
  return { place, rules, ports, reserved, listening, at: performance.now(), processorMs }
}
