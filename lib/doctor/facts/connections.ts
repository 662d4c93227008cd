/** The ports that connections and TIME_WAIT entries occupy, counted in the kernel's table of sockets. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { endpoint } from '../../connect/address'
import { SocketTunerError } from '../../errors'
import { plainAddress } from '../../kernel/addresses'
import { systemPortRange } from '../../kernel/proc'
import type { SocketField } from '../../kernel/sock-diag'
import type { DumpFilter } from '../../kernel/sock-diag-filter'
import { connectedStates, type TcpState } from '../../kernel/tcp-states'
import { budgetAt, type PortBudget } from '../../ports/budget'
import { countSockets, type SocketGroup } from '../../ports/count-sockets'
import { checkDestination, placeAt, type Place } from '../../ports/place'
import { readOwners } from '../../ports/snapshot'
import type { ResolvedTarget } from '../diagnosis-target'

/** The ports from one source address to one destination, in the terms of portBudget(). */
export type DestinationPorts = Pick<
  PortBudget,
  | 'localAddress'
  | 'remoteAddress'
  | 'remotePort'
  | 'ports'
  | 'used'
  | 'timeWait'
  | 'reusable'
  | 'available'
>

/** A source address and a destination with connections from ports of the ephemeral range. */
export interface Ends {
  readonly localAddress: string
  readonly remoteAddress: string
  readonly remotePort: number
  /** The number of connections, including those of IPv6 sockets to IPv4 peers. */
  readonly connections: number
}

export interface TimeWaitAtPort {
  readonly localPort: number
  readonly count: number
}

/** The most groups in a result: those with the most connections. */
const MOST_GROUPS = 10
/** The most remote ports whose destinations are counted. */
const MOST_REMOTE_PORTS = 5
/** Groups that are processed in one turn of the event loop. */
const GROUPS_PER_TURN = 1_000
/** The most addresses of a host name that are counted. */
const MOST_ADDRESSES = 8

/** TIME_WAIT entries by local port: those of a server are all on its own port. Undefined if they cannot be counted. */
export async function readTimeWaitByPort(): Promise<TimeWaitAtPort[] | undefined> {
  const groups = await count(['TIME_WAIT'], ['localPort'], {})
  return groups?.slice(0, MOST_GROUPS).map(({ localPort = 0, count }) => ({ localPort, count }))
}

/**
 * The ports of the destinations with the most connections from this namespace, and of the target. Undefined if
 * they cannot be counted.
 */
export async function readDestinations(
  target?: ResolvedTarget,
): Promise<DestinationPorts[] | undefined> {
  const found = await findDestinations(filtersOf(target))
  if (found === undefined) return undefined
  const places = new Map<string, Place>()
  for (const place of [...placesOfTarget(target), ...found.map(placeOfEnds)])
    places.set(`${place.localAddress} ${endpoint(place.remoteAddress, place.remotePort)}`, place)
  const counted: DestinationPorts[] = []
  // One at a time: each count occupies a thread of the pool, which the program needs too.
  try {
    const owners = await readOwners()
    for (const place of places.values())
      counted.push(destinationPorts(await budgetAt(place, owners)))
  } catch (error) {
    passRefusal(error)
    return undefined
  }
  return counted.toSorted((a, b) => b.used - a.used)
}

function destinationPorts(budget: PortBudget): DestinationPorts {
  const { localAddress, remoteAddress, remotePort, ports, used, timeWait, reusable, available } =
    budget
  return { localAddress, remoteAddress, remotePort, ports, used, timeWait, reusable, available }
}

/** Leaves out addresses that this host cannot reach: without a source address they have no ports. */
function placesOfTarget(target: ResolvedTarget | undefined): Place[] {
  if (target === undefined) return []
  return target.addresses.slice(0, MOST_ADDRESSES).flatMap((remoteAddress) => {
    try {
      const checked = checkDestination('target', { remoteAddress, remotePort: target.port })
      return [placeAt(checked, checked.remoteAddress)]
    } catch (error) {
      passRefusal(error)
      return []
    }
  })
}

function placeOfEnds({ localAddress, remoteAddress, remotePort }: Ends): Place {
  const checked = checkDestination('destination', { localAddress, remoteAddress, remotePort })
  return placeAt(checked, checked.remoteAddress)
}

function filtersOf(target: ResolvedTarget | undefined): DumpFilter[] {
  if (target === undefined) return []
  const addresses = target.addresses.slice(0, MOST_ADDRESSES)
  return addresses.map((remoteAddress) => ({ remoteAddress, remotePort: target.port }))
}

/**
 * The pairs of addresses with the most connections from ephemeral ports, and those that match `asked`.
 * Undefined if they cannot be counted. Connections are counted by remote port first. That sorts out the clients
 * of a server here: each has another remote port, so their groups are small.
 */
export async function findDestinations(
  asked: readonly DumpFilter[] = [],
): Promise<Ends[] | undefined> {
  const localPortRange = systemPortRange()
  if (localPortRange === undefined) return undefined
  const byPort = await count(connectedStates, ['remotePort'], { localPortRange })
  if (byPort === undefined) return undefined
  const busiest = byPort.slice(0, MOST_REMOTE_PORTS).map(({ remotePort }) => ({ remotePort }))
  const busy: Ends[] = []
  for (const filter of busiest) busy.push(...(await endsOf({ ...filter, localPortRange })))
  const wanted: Ends[] = []
  for (const filter of asked) wanted.push(...(await endsOf({ ...filter, localPortRange })))
  const all = [...wanted, ...most(busy)]
  return [...new Map(all.map((ends) => [keyOf(ends), ends])).values()]
}

async function endsOf(filter: DumpFilter): Promise<Ends[]> {
  const groups = await count(
    connectedStates,
    ['localAddress', 'remoteAddress', 'remotePort'],
    filter,
  )
  const found = new Map<string, Ends>()
  for (const [index, group] of (groups ?? []).entries()) {
    if (index % GROUPS_PER_TURN === GROUPS_PER_TURN - 1) await nextTurn()
    // An IPv6 socket with an IPv4 peer occupies the same ports as an IPv4 socket.
    const ends = {
      localAddress: plainAddress(group.localAddress ?? ''),
      remoteAddress: plainAddress(group.remoteAddress ?? ''),
      remotePort: group.remotePort ?? 0,
    }
    const before = found.get(keyOf(ends))?.connections ?? 0
    found.set(keyOf(ends), { ...ends, connections: before + group.count })
  }
  return most([...found.values()])
}

/** The pairs with the most connections. */
function most(found: readonly Ends[]): Ends[] {
  return found.toSorted((a, b) => b.connections - a.connections).slice(0, MOST_GROUPS)
}

async function count(
  states: readonly TcpState[],
  groupBy: readonly SocketField[],
  filter: DumpFilter,
): Promise<readonly SocketGroup[] | undefined> {
  try {
    return (await countSockets({ states, groupBy, ...filter })).groups
  } catch (error) {
    passRefusal(error)
    return undefined
  }
}

/** Ignores the errors of a platform that cannot count, or of a sandbox. @throws every other error */
function passRefusal(error: unknown): void {
  if (!(error instanceof SocketTunerError)) throw error
}

function keyOf(ends: Omit<Ends, 'connections'>): string {
  return `${ends.localAddress} ${ends.remoteAddress} ${String(ends.remotePort)}`
}
