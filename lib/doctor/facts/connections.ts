/** Which ports connections and TIME_WAIT entries take, counted by the kernel's own table. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { SocketOptionError } from '../../errors'
import { plainAddress } from '../../observe/address-text'
import { connectedStates, type TcpState } from '../../observe/tcp-info'
import { timeWaitCensus, type CensusField, type CensusGroup } from '../../ports/census'
import type { SocketFilter } from '../../ports/filter'

/** One source address and one destination: each connection between them needs a port of its own. */
export interface Destination {
  readonly localAddress: string
  readonly remoteAddress: string
  readonly remotePort: number
  /** Connections in any state, TIME_WAIT among them. */
  readonly inUse: number
  readonly timeWait: number
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
 * The destinations with the most connections, of this namespace's clients, and those asked for. Counted
 * by remote port first: a server's connections are each from another port, so that they are few in each
 * group, however many clients there are.
 */
export async function readDestinations(
  target: readonly SocketFilter[] = [],
): Promise<Destination[] | undefined> {
  const byPort = await count(connectedStates, ['remotePort'], {})
  if (byPort === undefined) return undefined
  const busiest = byPort.slice(0, PORTS_LOOKED_AT).map(({ remotePort }) => ({ remotePort }))
  // One after the other: a count takes a thread of the pool, which the program needs too.
  const looked: Destination[] = []
  for (const filter of busiest) looked.push(...(await destinationsOf(filter)))
  const asked: Destination[] = []
  for (const filter of target.slice(0, ADDRESSES_LOOKED_AT)) {
    asked.push(...(await destinationsOf(filter)))
  }
  const all = [...asked, ...most(looked)]
  return [...new Map(all.map((destination) => [keyOf(destination), destination])).values()]
}

async function destinationsOf(filter: SocketFilter): Promise<Destination[]> {
  const fields = ['localAddress', 'remoteAddress', 'remotePort', 'state'] as const
  const groups = await count(connectedStates, fields, filter)
  const found = new Map<string, Destination>()
  for (const [index, group] of (groups ?? []).entries()) {
    if (index % AT_A_STRETCH === AT_A_STRETCH - 1) await nextTurn()
    // An IPv6 socket's connection over IPv4 takes the same ports as one of an IPv4 socket.
    const ends = {
      localAddress: plainAddress(group.localAddress ?? ''),
      remoteAddress: plainAddress(group.remoteAddress ?? ''),
      remotePort: group.remotePort ?? 0,
    }
    const before = found.get(keyOf(ends))
    const waiting = group.state === 'TIME_WAIT' ? group.count : 0
    found.set(keyOf(ends), {
      ...ends,
      inUse: (before?.inUse ?? 0) + group.count,
      timeWait: (before?.timeWait ?? 0) + waiting,
    })
  }
  return most([...found.values()])
}

/** Those with the most connections. */
function most(destinations: readonly Destination[]): Destination[] {
  return destinations.toSorted((a, b) => b.inUse - a.inUse).slice(0, TOLD)
}

async function count(
  states: readonly TcpState[],
  groupBy: readonly CensusField[],
  filter: SocketFilter,
): Promise<readonly CensusGroup[] | undefined> {
  try {
    return (await timeWaitCensus({ states, groupBy, ...filter })).groups
  } catch (error) {
    // Not on this platform, or kept from it by a sandbox.
    if (error instanceof SocketOptionError) return undefined
    throw error
  }
}

function keyOf(ends: Pick<Destination, 'localAddress' | 'remoteAddress' | 'remotePort'>): string {
  return `${ends.localAddress} ${ends.remoteAddress} ${String(ends.remotePort)}`
}
