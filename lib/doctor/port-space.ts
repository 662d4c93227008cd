/** The number of ephemeral ports for a destination, and the settings that increase it. */
import type { PortRange } from '../kernel/proc'
import { shareTaken } from '../ports/budget'
import { PortMap } from '../ports/port-map'
import type { Facts } from './facts'
import type { DestinationPorts } from './facts/connections'
import type { Listener } from './facts/listeners'
import { RANGE, RESERVED } from './facts/sysctls'
import { setting, type SysctlSetting } from './rule'

/** The size of Linux's default range, 32768 to 60999. */
export const DEFAULT_PORTS = 28_232

/** A range of this size is about the widest that most hosts can use. */
export const WIDE_ENOUGH = 50_000

/** Leaves the ports below 10240 to services. Its ends have different parity. */
const WIDE: PortRange = { min: 10_240, max: 65_535 }

export function includes(ranges: readonly PortRange[], port: number): boolean {
  return ranges.some(({ min, max }) => port >= min && port <= max)
}

/** The reserved ports that are within the ephemeral range. */
export function reservedInside({ portRange, reservedPorts = [] }: Facts): PortRange[] {
  if (portRange === undefined) return []
  return reservedPorts
    .map(({ min, max }) => ({
      min: Math.max(min, portRange.min),
      max: Math.min(max, portRange.max),
    }))
    .filter(({ min, max }) => min <= max)
}

/** Listening sockets on ports that connect() may choose. */
export function listenersInside(facts: Facts): Listener[] {
  const { portRange, reservedPorts = [], listeners = [] } = facts
  if (portRange === undefined) return []
  return listeners.filter(
    ({ port }) => includes([portRange], port) && !includes(reservedPorts, port),
  )
}

/**
 * The most connections from one source address to one destination: the size of the range, without reserved
 * ports and without the ports of listening sockets, which connect() skips. Undefined if the range is not known.
 */
export function portsPerDestination(facts: Facts): number | undefined {
  const { portRange, reservedPorts = [], listeners = [] } = facts
  if (portRange === undefined) return undefined
  const listening = listeners.map(({ port }) => port)
  return new PortMap(portRange).passOver({ reserved: reservedPorts, listening, bound: [] }).ports
}

/** The destination with the largest share of its ports in use. */
export function fullest({ destinations = [] }: Facts): DestinationPorts | undefined {
  return destinations.toSorted((a, b) => shareTaken(b) - shareTaken(a))[0]
}

/** A range of at least 50,000 ports with ends of different parity: the current range if it is one. */
export function advisedRange({ min, max }: PortRange): PortRange {
  const wide = { min: Math.min(min, WIDE.min), max: WIDE.max }
  const range = max - min < WIDE_ENOUGH ? wide : { min, max }
  if ((range.min + range.max) % 2 === 1) return range
  return range.max === WIDE.max
    ? { ...range, min: range.min + 1 }
    : { ...range, max: range.max + 1 }
}

export function rangeSetting(range: PortRange): SysctlSetting {
  return setting(RANGE, `${String(range.min)} ${String(range.max)}`)
}

/** Keeps the reserved ports, and adds those of listening sockets within the advised range. */
export function reserveSetting(facts: Facts): SysctlSetting | undefined {
  const { portRange, reservedPorts = [], listeners = [] } = facts
  if (portRange === undefined) return undefined
  const range = advisedRange(portRange)
  const ports = listeners
    .map(({ port }) => port)
    .filter((port) => includes([range], port) && !includes(reservedPorts, port))
  if (ports.length === 0) return undefined
  const all = [...reservedPorts, ...[...new Set(ports)].map((port) => ({ min: port, max: port }))]
  const list = all
    .toSorted((a, b) => a.min - b.min)
    .map(({ min, max }) => {
      return min === max ? String(min) : `${String(min)}-${String(max)}`
    })
  return setting(RESERVED, list.join(','))
}
