import type { TcpState } from '../kernel/tcp-states'
import type { PortRange } from '../options/values'
import { secondsUntilExhaustion } from './forecast'
import { checkDestination, placesOf, type Destination, type Place } from './place'
import { TIME_WAIT_MS, type TimeWaitReuse } from './reuse'
import { readOwners, takeSnapshot, type PortOwners, type Snapshot } from './snapshot'

/** The ports of one source address towards one destination. */
export interface PortBudget {
  /** The host name that the destination was given by; undefined where an address was given. */
  readonly host: string | undefined
  readonly remoteAddress: string
  readonly remotePort: number
  readonly localAddress: string
  /** The ports that connect() takes from, both ends included. */
  readonly range: PortRange
  /** How many of them connect() can choose: all but those that are reserved, listened on or bound. */
  readonly ports: number
  /** Ports of the range in net.ipv4.ip_local_reserved_ports. */
  readonly reserved: number
  /** Other ports of the range on which a socket listens, at whatever address. */
  readonly listening: number
  /**
   * Other ports of the range that a socket is bound to that neither listens nor is connected, at whatever
   * address. Known from Linux 6.8 on; 0 before.
   */
  readonly bound: number
  /** How many of `ports` are in use towards this destination, in each TCP state. */
  readonly byState: Readonly<Partial<Record<TcpState, number>>>
  /** The sum of these. */
  readonly used: number
  /** Those in TIME_WAIT. */
  readonly timeWait: number
  /** Of those the ones that connect() may take out of it now. */
  readonly reusable: number
  readonly timeWaitReuse: TimeWaitReuse
  /** Ports that no socket has. */
  readonly free: number
  /** Connections that can be made now: `free` and `reusable` together. */
  readonly available: number
  /**
   * Connections until connect() has to search for each port: the kernel takes ports of one parity
   * first, and looks for the others only when none of those is left. Not so for connections that
   * have IP_LOCAL_PORT_RANGE set on Linux 6.8 and later, as those of this library have.
   */
  readonly untilSlow: number
  /** How long a port is gone after a close that leaves TIME_WAIT here, s. */
  readonly heldSeconds: number
  /** Connections per second that can go on for ever, each leaving TIME_WAIT here. */
  readonly sustainableRate: number
  /** Connections per second now. portBudget(): those that came to TIME_WAIT in the last seconds. */
  readonly rate: number
  /** Until there is no port at this rate; undefined when that will not be. */
  readonly secondsUntilExhaustion: number | undefined
  /** The kernel's table changed under the count, three times in a row: some ports may be missing. */
  readonly interrupted: boolean
}

/** What portBudget() gives: the budget of the address whose ports are the nearest to their end. */
export interface DestinationBudget extends PortBudget {
  /** Those of the other addresses of a host name, the nearest to its end first; else empty. */
  readonly others: readonly PortBudget[]
}

export type PortBudgetOptions = Destination

const NONE = [0, 0] as const

/** How long back portBudget() looks for the rate, ms. */
const LOOK_BACK_MS = 5_000

/**
 * Counts the ports for connections from one source address to one destination, and works out how long
 * they last. Reads the kernel's tables of ports and of sockets, the latter once for each address, in a thread
 * of the pool: some 2 ms with few sockets and 100 ms with 200,000. Needs no privilege. Linux.
 *
 * A host name is looked up at each call, and each of its addresses is counted.
 *
 * A port counts as taken while any socket, TIME_WAIT included, connects it to this destination. Ports
 * outside of the range are never counted. Not seen are ports that a program has named in bind(2) for
 * connections to another destination: connect() passes over these too.
 *
 * @throws (as a rejection) ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE,
 *   ERR_SOCKET_TUNER_ADDRESS_FAMILY; what dns.lookup() gives, as ENOTFOUND; ENETUNREACH and the like where
 *   this host has no source address for the destination; ERR_SOCKET_TUNER_UNSUPPORTED where sockets cannot
 *   be counted; the errno's name when the kernel refuses
 */
export async function portBudget(options: PortBudgetOptions): Promise<DestinationBudget> {
  const [place, ...more] = await placesOf(checkDestination('options', options))
  const others: PortBudget[] = []
  const owners = await readOwners()
  let first = await budgetAt(place, owners)
  // One after the other, so that the pool's threads are left to others.
  for (const each of more) {
    const budget = await budgetAt(each, owners)
    if (shareTaken(budget) <= shareTaken(first)) others.push(budget)
    else {
      others.unshift(first)
      first = budget
    }
  }
  return { ...first, others: others.toSorted((a, b) => shareTaken(b) - shareTaken(a)) }
}

/** @throws (as a rejection) as takeSnapshot() does */
export async function budgetAt(place: Place, owners: PortOwners): Promise<PortBudget> {
  const snapshot = await takeSnapshot(place, owners)
  return budgetOf(snapshot, recentRates(snapshot))
}

/** How much of its ports a destination has used up: 0 to 1. */
export function shareTaken({ ports, available }: Pick<PortBudget, 'ports' | 'available'>): number {
  return ports === 0 ? 1 : 1 - available / ports
}

/** How fast ports are taken, and live connections become more: per second. */
export interface Rates {
  readonly rate: number
  readonly growth: number
}

/** From the timers of TIME_WAIT: an entry has {@link TIME_WAIT_MS} less its age to go. */
export function recentRates({ ports, rules }: Snapshot): Rates {
  const span = Math.min(LOOK_BACK_MS, rules.heldMs)
  const [first, second] = ports.endingWithin(TIME_WAIT_MS)
  const [olderFirst, olderSecond] = ports.endingWithin(TIME_WAIT_MS - span)
  const came = first + second - olderFirst - olderSecond
  return { rate: span === 0 ? 0 : (1000 * came) / span, growth: 0 }
}

export function budgetOf(snapshot: Snapshot, { rate, growth }: Rates): PortBudget {
  const { place, rules, ports, usable, interrupted } = snapshot
  const byState = ports.byState()
  const used = Object.values(byState).reduce((sum, count) => sum + count, 0)
  const timeWait = byState.TIME_WAIT ?? 0
  const held = rules.heldMs / 1000
  const earlierMs = TIME_WAIT_MS - rules.heldMs
  const reusable = rules.reuse.applies ? ports.endingWithin(earlierMs) : NONE
  const free = ports.free()
  const first = free[0] + reusable[0]
  const available = first + free[1] + reusable[1]
  const live = used - timeWait
  return {
    host: place.host,
    remoteAddress: place.remoteAddress,
    remotePort: place.remotePort,
    localAddress: place.localAddress,
    range: rules.range,
    ...usable,
    byState,
    used,
    timeWait,
    reusable: reusable[0] + reusable[1],
    timeWaitReuse: rules.reuse,
    free: free[0] + free[1],
    available,
    untilSlow: rules.inHalves ? first : available,
    heldSeconds: held,
    sustainableRate: Math.max(0, usable.ports - live) / Math.max(held, 0.001),
    rate,
    secondsUntilExhaustion: secondsUntilExhaustion({
      available,
      endings: ports.endings(Math.ceil(held), earlierMs),
      live,
      rate,
      growth,
      held,
    }),
    interrupted,
  }
}
