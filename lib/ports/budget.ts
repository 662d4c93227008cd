import type { TcpState } from '../kernel/tcp-states'
import type { PortRange } from '../kernel/proc'
import { secondsUntilExhaustion } from './forecast'
import { checkDestination, placesOf, type Destination, type Place } from './place'
import { TIME_WAIT_MS, type TimeWaitReuse } from './time-wait-reuse'
import { readOwners, takeSnapshot, type PortOwners, type Snapshot } from './snapshot'

/** The ports from one source address to one destination. */
export interface PortBudget {
  /** The host name of the destination; undefined if the caller passed an address. */
  readonly host: string | undefined
  readonly remoteAddress: string
  readonly remotePort: number
  readonly localAddress: string
  /** The ports that connect() chooses from; both ends are included. */
  readonly range: PortRange
  /** The number of ports that connect() can choose: the range without reserved, listening and bound ports. */
  readonly ports: number
  /** Ports of the range that net.ipv4.ip_local_reserved_ports reserves. */
  readonly reserved: number
  /** Other ports of the range on which a socket listens, on any address. */
  readonly listening: number
  /**
   * Other ports of the range with a socket that is bound to any address and neither listens nor is connected.
   * Counted on Linux 6.8 and later; otherwise 0.
   */
  readonly bound: number
  /** The `ports` in use for this destination, by TCP state. */
  readonly byState: Readonly<Partial<Record<TcpState, number>>>
  /** The sum of `byState`. */
  readonly used: number
  /** The ports in TIME_WAIT. */
  readonly timeWait: number
  /** The ports in TIME_WAIT that connect() may reuse now. */
  readonly reusable: number
  readonly timeWaitReuse: TimeWaitReuse
  /** Ports without a socket. */
  readonly free: number
  /** Connections that can be made now: the sum of `free` and `reusable`. */
  readonly available: number
  /**
   * Connections until connect() has to search for each port. The kernel uses the ports of one parity first, and
   * searches the others when none of those is left. On Linux 6.8 and later this does not affect sockets with
   * IP_LOCAL_PORT_RANGE, such as those of this library's connect().
   */
  readonly untilSlow: number
  /** Seconds for which a port is occupied after a close that leaves TIME_WAIT on this side. */
  readonly heldSeconds: number
  /** The sustainable rate, in connections per second, if each close leaves TIME_WAIT on this side. */
  readonly sustainableRate: number
  /** The current rate, in connections per second. portBudget() derives it from the TIME_WAIT entries of the last 5 s. */
  readonly rate: number
  /** Seconds until no port is left at this rate; undefined if that will not happen. */
  readonly secondsUntilExhaustion: number | undefined
  /** Whether the kernel's table changed during the count, three times in a row. Some ports may be missing. */
  readonly interrupted: boolean
}

/** The result of portBudget(): the budget of the address with the largest share of its ports in use. */
export interface DestinationBudget extends PortBudget {
  /** The budgets of the other addresses of a host name, the largest share first. Empty for an address. */
  readonly others: readonly PortBudget[]
}

export type PortBudgetOptions = Destination

const NONE = [0, 0] as const

/** The period over which portBudget() measures the rate, ms. */
const LOOK_BACK_MS = 5_000

/**
 * Counts the ports for connections from one source address to one destination, and estimates how long they
 * last. Reads the kernel's tables of ports and sockets in a thread of the pool, which takes about 2 ms with few
 * sockets and 100 ms with 200,000. Needs no privilege. Linux.
 *
 * A host name is looked up at each call, and each of its addresses is counted.
 *
 * A port counts as used while any socket, including one in TIME_WAIT, has it for this destination. Ports outside
 * of the range never count. Ports that programs have named in bind(2) for connections to other destinations are
 * not seen, although connect() skips them too.
 *
 * @throws (as a rejection) ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE,
 *   ERR_SOCKET_TUNER_ADDRESS_FAMILY; the error of dns.lookup(), for example ENOTFOUND; ENETUNREACH or similar if
 *   this host has no source address for the destination; ERR_SOCKET_TUNER_UNSUPPORTED if sockets cannot be
 *   counted here; the name of the errno if the kernel refuses
 */
export async function portBudget(options: PortBudgetOptions): Promise<DestinationBudget> {
  const [place, ...more] = await placesOf(checkDestination('options', options))
  const others: PortBudget[] = []
  const owners = await readOwners()
  let first = await budgetAt(place, owners)
  // One at a time, to leave the threads of the pool to others.
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

/** @throws (as a rejection) what takeSnapshot() throws */
export async function budgetAt(place: Place, owners: PortOwners): Promise<PortBudget> {
  const snapshot = await takeSnapshot(place, owners)
  return budgetOf(snapshot, recentRates(snapshot))
}

/** The share of a destination's ports that is used up, 0 to 1. */
export function shareTaken({ ports, available }: Pick<PortBudget, 'ports' | 'available'>): number {
  return ports === 0 ? 1 : 1 - available / ports
}

/** The rate at which ports are taken, and the growth of live connections: per second. */
export interface Rates {
  readonly rate: number
  readonly growth: number
}

/** Derives the rate from the timers of TIME_WAIT entries: {@link TIME_WAIT_MS} minus the remaining time is their age. */
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
