import { setImmediate as nextTurn } from 'node:timers/promises'
import {
  BOTH_FAMILIES,
  dumpSockets,
  socketFields,
  type SocketField,
  type SocketRecords,
} from '../kernel/sock-diag'
import { bytecodeOf } from '../kernel/sock-diag-filter'
import { tcpStates, type TcpState } from '../kernel/tcp-states'
import { boolean, list, oneOf, spec, whole, type InputOf } from '../spec'
import { socketFilter } from './filter'

/** The most groups of one count: native/kernel/sock_diag_dump.h. */
const MAX_GROUPS = 1_048_576

const allStates = tcpStates.filter((state) => state !== undefined)

export const countSocketsOptions = spec({
  ...socketFilter.fields,
  /** The TCP states to count. Default: all. */
  states: list(oneOf<TcpState>(...allStates), { min: 1 }).default(allStates),
  /** Sockets that agree in all these fields form a group. Default: the state. */
  groupBy: list(oneOf<SocketField>(...socketFields)).default(['state']),
  /**
   * Returns at most this many groups, the largest. Default: all. Each group is an object, and with 100,000 of
   * them the garbage collector holds the event loop for more than 5 ms.
   */
  limit: whole(1, MAX_GROUPS).default(MAX_GROUPS),
  /** Reports when the timers of each group end. For TIME_WAIT, that is when its ports come free. Default false. */
  timers: boolean().default(false),
})

export type CountSocketsOptions = Readonly<InputOf<typeof countSocketsOptions>>

/** A group of sockets, with the fields of `groupBy`. */
export interface SocketGroup {
  readonly count: number
  readonly localAddress?: string
  readonly localPort?: number
  /** IPv4-mapped, `::ffff:a.b.c.d`, where an IPv6 socket has an IPv4 peer. */
  readonly remoteAddress?: string
  readonly remotePort?: number
  readonly state?: TcpState
  /** Milliseconds until the first and the last timer of the group end. With `timers`, and only if one runs. */
  readonly firstTimerMs?: number
  readonly lastTimerMs?: number
}

export interface SocketCounts {
  /** The number of sockets. */
  readonly total: number
  /** The number of groups, including those above the limit. */
  readonly groupCount: number
  /** The largest groups first. */
  readonly groups: readonly SocketGroup[]
  /** Whether the kernel's table changed during the count, three times in a row. Sockets may be missing or counted twice. */
  readonly interrupted: boolean
}

/** Yields to the event loop after 1 ms; checks the clock every 64 records. */
const YIELD_AFTER_MS = 1
const CHECK_EVERY = 64

/**
 * Counts the TCP sockets of this network namespace, IPv4 and IPv6, in groups. The kernel filters them (inet_diag
 * over netlink, sock_diag(7)), and a thread of the pool counts those that match. Needs no privilege. Linux.
 *
 * @throws (as a rejection) ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE,
 *   ERR_SOCKET_TUNER_UNKNOWN_OPTION; ERR_SOCKET_TUNER_UNSUPPORTED if sockets cannot be counted here; EOVERFLOW for
 *   more than 1,048,576 groups; the name of the errno if the kernel refuses
 */
export async function countSockets(options: CountSocketsOptions = {}): Promise<SocketCounts> {
  const checked = countSocketsOptions.check('options', options)
  const { timers, limit, states, groupBy } = checked
  const filter = bytecodeOf(checked)
  const dump = await dumpSockets({ families: BOTH_FAMILIES, states, groupBy, filter })
  const { total, records, interrupted } = dump
  const groups = await read(records, Math.min(records.length, limit), groupBy, timers)
  return { total, groupCount: records.length, groups, interrupted }
}

async function read(
  records: SocketRecords,
  count: number,
  groupBy: readonly SocketField[],
  timers: boolean,
): Promise<SocketGroup[]> {
  const groups: SocketGroup[] = []
  let end = performance.now() + YIELD_AFTER_MS
  for (let index = 0; index < count; index++) {
    groups.push(groupAt(records, index, groupBy, timers))
    if (groups.length % CHECK_EVERY !== 0 || performance.now() < end) continue
    await nextTurn()
    end = performance.now() + YIELD_AFTER_MS
  }
  return groups
}

function groupAt(
  records: SocketRecords,
  index: number,
  groupBy: readonly SocketField[],
  timers: boolean,
): SocketGroup {
  const group: { -readonly [K in keyof SocketGroup]: SocketGroup[K] } = {
    count: records.count(index),
  }
  for (const field of groupBy) {
    switch (field) {
      case 'localPort':
        group.localPort = records.localPort(index)
        break
      case 'remotePort':
        group.remotePort = records.remotePort(index)
        break
      case 'state':
        group.state = tcpStates[records.stateNumber(index)] ?? 'CLOSE'
        break
      case 'localAddress':
        group.localAddress = records.localAddress(index)
        break
      case 'remoteAddress':
        group.remoteAddress = records.remoteAddress(index)
        break
    }
  }
  const first = timers ? records.firstTimerMs(index) : undefined
  if (first !== undefined) {
    group.firstTimerMs = first
    group.lastTimerMs = records.lastTimerMs(index)
  }
  return group
}
