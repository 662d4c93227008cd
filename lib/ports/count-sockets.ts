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

/** The most that are counted: native/kernel/sock_diag_dump.h. */
const MAX_GROUPS = 1_048_576

const allStates = tcpStates.filter((state) => state !== undefined)

export const countSocketsOptions = spec({
  ...socketFilter.fields,
  /** Default all states. */
  states: list(oneOf<TcpState>(...allStates), { min: 1 }).default(allStates),
  /** Sockets that have all of these in common are one group. Default the state. */
  groupBy: list(oneOf<SocketField>(...socketFields)).default(['state']),
  /**
   * Tell no more than so many groups, the greatest; above 0. Default all. Each group is an object: with
   * 100,000 of them it is the garbage collector that holds the event loop, for longer than 5 ms.
   */
  limit: whole(1, MAX_GROUPS).default(MAX_GROUPS),
  /** Tell when the timers of each group end: for TIME_WAIT, when its ports come back. Default false. */
  timers: boolean().default(false),
})

export type CountSocketsOptions = Readonly<InputOf<typeof countSocketsOptions>>

/** Sockets with something in common: the fields that were grouped by are there. */
export interface SocketGroup {
  readonly count: number
  readonly localAddress?: string
  readonly localPort?: number
  /** IPv4-mapped, `::ffff:a.b.c.d`, where an IPv6 socket has an IPv4 peer. */
  readonly remoteAddress?: string
  readonly remotePort?: number
  readonly state?: TcpState
  /** Until the first and the last timer in the group end, ms; with `timers`, where one runs. */
  readonly firstTimerMs?: number
  readonly lastTimerMs?: number
}

export interface SocketCounts {
  /** Sockets that were counted. */
  readonly total: number
  /** How many groups there are, also of those beyond the limit. */
  readonly groupCount: number
  /** The greatest first. */
  readonly groups: readonly SocketGroup[]
  /** The kernel's table changed under the count, three times in a row: some may be missing or double. */
  readonly interrupted: boolean
}

/** For so long records are read before the event loop has its turn, looked at once in so many. */
const AT_A_STRETCH_MS = 1
const LOOK_EVERY = 64

/**
 * Counts the TCP sockets of this network namespace in groups. The kernel passes over what does not match (inet_diag over netlink, sock_diag(7)); what matches is
 * counted in a thread of the pool. IPv4 and IPv6. Needs no privilege. Linux.
 *
 * At most 1,048,576 groups; more are EOVERFLOW.
 *
 * @throws (as a rejection) ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE,
 *   ERR_SOCKET_TUNER_UNKNOWN_OPTION; ERR_SOCKET_TUNER_UNSUPPORTED where there is no such thing; the errno's name when the kernel refuses
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
  let end = performance.now() + AT_A_STRETCH_MS
  for (let index = 0; index < count; index++) {
    groups.push(groupAt(records, index, groupBy, timers))
    if (groups.length % LOOK_EVERY !== 0 || performance.now() < end) continue
    await nextTurn()
    end = performance.now() + AT_A_STRETCH_MS
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
