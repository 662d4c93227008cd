/** Divides a run into the parts of its workers. */
import { portChoiceHere } from '../connect/port-choice'
import { SourcePool } from '../connect/source-pool'
import { reservedPorts, systemPortRange, type PortRange } from '../kernel/proc'
import type { CheckedStress } from './options'
import type { Share } from './part'

/**
 * The options of one part. The rates stay those of the run: Arrivals and Pace divide them in time.
 */
export function optionsOf(options: CheckedStress, share: Share): CheckedStress {
  const { connections, amount } = options
  return {
    ...options,
    connections: portionOf(connections, share),
    amount: amount === undefined ? undefined : portionOf(amount, share),
    ...portsOf(options, share),
  }
}

/** A share of a whole number. The shares add up to it, and the larger ones are the first. */
export function portionOf(total: number, { index, count }: Share): number {
  return Math.floor(total / count) + (index < total % count ? 1 : 0)
}

/** The facts that decide how the ports are divided. */
export interface PortFacts {
  /** Whether a range of ports does not slow the search for a free one: Linux 6.8. */
  readonly canConfine: boolean
  /** net.ipv4.ip_local_port_range; undefined if it is not known. */
  readonly range: PortRange | undefined
  /** net.ipv4.ip_local_reserved_ports. */
  readonly reserved: readonly PortRange[]
}

/**
 * The ports of one part: a part of the range, so that no two workers search the same ports. If that is not possible, a
 * part of the source addresses, provided that each worker gets as many. Otherwise the workers share all ports.
 */
export function portsOf(
  { portRange, source, settings }: CheckedStress,
  share: Share,
  facts: PortFacts = portFactsHere(),
): Partial<Pick<CheckedStress, 'portRange' | 'source'>> {
  const isChosen = portRange === 'kernel' || settings.IP_LOCAL_PORT_RANGE !== undefined
  const range = portRange === undefined || portRange === 'kernel' ? facts.range : portRange
  if (facts.canConfine && !isChosen && range !== undefined) {
    const own = rangeOf(range, facts.reserved, share)
    if (own !== undefined) return { portRange: own }
  }
  const addresses = source instanceof SourcePool ? source.addresses : []
  const each = addresses.length / share.count
  if (each < 1 || !Number.isInteger(each)) return {}
  const [first, ...more] = addresses.slice(share.index * each, (share.index + 1) * each)
  if (first === undefined) return {}
  return { source: more.length === 0 ? first : new SourcePool([first, ...more]) }
}

function portFactsHere(): PortFacts {
  return {
    canConfine: portChoiceHere() === 'whole',
    range: systemPortRange(),
    reserved: reservedPorts() ?? [],
  }
}

/** Reserved ports do not count: connect() never chooses them. Undefined if there are not enough ports. */
function rangeOf(
  { min, max }: PortRange,
  reserved: readonly PortRange[],
  share: Share,
): PortRange | undefined {
  const isFree = (port: number): boolean =>
    !reserved.some((range) => port >= range.min && port <= range.max)
  const ports = Array.from({ length: max - min + 1 }, (_, at) => min + at).filter(isFree)
  const { length } = ports
  const { index, count } = share
  if (length < count) return undefined
  const start = index * Math.floor(length / count) + Math.min(index, length % count)
  const [own, end] = [ports[start], ports[start + portionOf(length, share) - 1]]
  return own === undefined || end === undefined ? undefined : { min: own, max: end }
}
