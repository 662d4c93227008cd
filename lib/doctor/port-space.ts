/** How many ephemeral ports a destination has, and what settings would give it more. */
import { sizeOf } from '../observe/namespace-facts'
import type { PortRange } from '../options/values'
import { reuseBetween } from '../ports/reuse'
import type { Facts } from './facts'
import type { Destination } from './facts/connections'
import type { Listener } from './facts/listeners'
import { setting, type SysctlSetting } from './rule'

/** 32768 to 60999, as Linux sets it where nothing else does. */
export const DEFAULT_PORTS = 28_232

/** Leaves the ports below to services, and has ends of different parity. */
const WIDE: PortRange = { min: 10_240, max: 65_535 }

export const RANGE = 'net.ipv4.ip_local_port_range'
export const RESERVED = 'net.ipv4.ip_local_reserved_ports'

export function includes(ranges: readonly PortRange[], port: number): boolean {
  return ranges.some(({ min, max }) => port >= min && port <= max)
}

/** The parts of the reserved ports that lie within the ephemeral range. */
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
 * The most connections from one source address to one destination: the range without reserved ports, and
 * without those of listening sockets, which connect() passes over. Undefined where the range is not known.
 */
export function portsPerDestination(facts: Facts): number | undefined {
  if (facts.portRange === undefined) return undefined
  const reserved = reservedInside(facts).reduce((sum, range) => sum + sizeOf(range), 0)
  const listening = new Set(listenersInside(facts).map(({ port }) => port)).size
  return sizeOf(facts.portRange) - reserved - listening
}

/** Whether the kernel takes ports out of TIME_WAIT for this destination (tcp_tw_reuse). */
export function isReused({ sysctls = {} }: Facts, destination: Destination): boolean {
  const facts = {
    setting: sysctls['net.ipv4.tcp_tw_reuse'],
    delayMs: sysctls['net.ipv4.tcp_tw_reuse_delay'],
    timestamps: sysctls['net.ipv4.tcp_timestamps'],
  }
  return reuseBetween(facts, destination.localAddress, destination.remoteAddress).applies
}

/** The destination with the most of its ports taken, those not counted that would be used again. */
export function fullest(facts: Facts): { destination: Destination; taken: number } | undefined {
  const { destinations = [] } = facts
  return destinations
    .map((destination) => {
      const { inUse, timeWait } = destination
      return { destination, taken: isReused(facts, destination) ? inUse - timeWait : inUse }
    })
    .toSorted((a, b) => b.taken - a.taken)[0]
}

/** A range of 50,000 ports and more, with ends of different parity; the present one where it is that. */
export function advisedRange({ min, max }: PortRange): PortRange {
  const wide = { min: Math.min(min, WIDE.min), max: WIDE.max }
  const range = max - min < 50_000 ? wide : { min, max }
  if ((range.min + range.max) % 2 === 1) return range
  return range.max === WIDE.max
    ? { ...range, min: range.min + 1 }
    : { ...range, max: range.max + 1 }
}

export function rangeSetting(range: PortRange): SysctlSetting {
  return setting(RANGE, `${String(range.min)} ${String(range.max)}`)
}

/** Keeps what is reserved, and adds the ports of listening sockets within the range that is advised. */
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
