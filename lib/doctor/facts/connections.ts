/** Which ports connections and TIME_WAIT entries take, counted by the kernel's own table. */
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
import type { ResolvedTarget } from '../target'

/** The ports from one source address to one destination, as portBudget() counts them. */
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
  /** How many; of both families, where an IPv6 socket has an IPv4 peer. */
  readonly connections: number
}

export interface TimeWaitAtPort {
  readonly localPort: number
  readonly count: number
}

/** How many are told: those with the most. */
const TOLD = 10
/** Remote ports that are looked at more closely. */
const PORTS_LOOKED_AT = 5
/** Groups that are gone through between two turns of the event loop. */
const AT_A_STRETCH = 1_000
/** A host name may have many addresses. */
const ADDRESSES_LOOKED_AT = 8

/** TIME_WAIT entries by local port: a server's are all at its own. Undefined where they cannot be counted. */
export async function readTimeWaitByPort(): Promise<TimeWaitAtPort[] | undefined> {
  const groups = await count(['TIME_WAIT'], ['localPort'], {})
  return groups?.slice(0, TOLD).map(({ localPort = 0, count }) => ({ localPort, count }))
}

/**
 * The ports of the destinations with the most connections, of this namespace's clients, and of the
 * target's. Undefined where they cannot be counted.
 */
export async function readDestinations(
  target?: ResolvedTarget,
): Promise<DestinationPorts[] | undefined> {
  const found = await findDestinations(filtersOf(target))
  if (found === undefined) return undefined
  const places = new Map<string, Place>()
  for (const place of [...placesOfTarget(target), ...found.map(placeOf)])
    places.set(`${place.localAddress} ${endpoint(place.remoteAddress, place.remotePort)}`, place)
  const counted: DestinationPorts[] = []
  // One after the other: a count takes a thread of the pool, which the program needs too.
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

/** Where it is reached from here; an address that is not has no source, and no ports. */
function placesOfTarget(target: ResolvedTarget | undefined): Place[] {
  if (target === undefined) return []
  return target.addresses.slice(0, ADDRESSES_LOOKED_AT).flatMap((remoteAddress) => {
    try {
      const checked = checkDestination('target', { remoteAddress, remotePort: target.port })
      return [placeAt(checked, checked.remoteAddress)]
    } catch (error) {
      passRefusal(error)
      return []
    }
  })
}

function placeOf({ localAddress, remoteAddress, remotePort }: Ends): Place {
  const checked = checkDestination('destination', { localAddress, remoteAddress, remotePort })
  return placeAt(checked, checked.remoteAddress)
}

function filtersOf(target: ResolvedTarget | undefined): DumpFilter[] {
  if (target === undefined) return []
  const addresses = target.addresses.slice(0, ADDRESSES_LOOKED_AT)
  return addresses.map((remoteAddress) => ({ remoteAddress, remotePort: target.port }))
}

/**
 * Between which ends there are the most connections from ports of the ephemeral range, and those that
 * match `asked`. Counted by remote port first: a server's connections are each from another port, so that
 * they are few in each group, however many clients there are. Undefined where they cannot be counted.
 */
export async function findDestinations(
  asked: readonly DumpFilter[] = [],
): Promise<Ends[] | undefined> {
  const localPortRange = systemPortRange()
  if (localPortRange === undefined) return undefined
  const byPort = await count(connectedStates, ['remotePort'], { localPortRange })
  if (byPort === undefined) return undefined
  const busiest = byPort.slice(0, PORTS_LOOKED_AT).map(({ remotePort }) => ({ remotePort }))
  const looked: Ends[] = []
  for (const filter of busiest) looked.push(...(await endsOf({ ...filter, localPortRange })))
  const wanted: Ends[] = []
  for (const filter of asked) wanted.push(...(await endsOf({ ...filter, localPortRange })))
  const all = [...wanted, ...most(looked)]
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
    if (index % AT_A_STRETCH === AT_A_STRETCH - 1) await nextTurn()
    // An IPv6 socket's connection over IPv4 takes the same ports as one of an IPv4 socket.
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

/** Those with the most connections. */
function most(found: readonly Ends[]): Ends[] {
  return found.toSorted((a, b) => b.connections - a.connections).slice(0, TOLD)
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

/** Not on this platform, or kept from it by a sandbox: then it is not known. Any other error is thrown. */
function passRefusal(error: unknown): void {
  if (!(error instanceof SocketTunerError)) throw error
}

function keyOf(ends: Omit<Ends, 'connections'>): string {
  return `${ends.localAddress} ${ends.remoteAddress} ${String(ends.remotePort)}`
}
