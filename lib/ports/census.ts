import { setImmediate as nextTurn } from 'node:timers/promises'
import { ArgumentTypeError, ArgumentValueError, checkBoolean, checkWhole } from '../errors'
import {
  BOTH_FAMILIES,
  dumpSockets,
  socketFields,
  type SocketField,
  type SocketRecords,
} from '../observe/dump'
import { bytecodeOf, type SocketFilter } from '../observe/sock-diag-filter'
import { tcpStates, type TcpState } from '../observe/tcp-info'
import { checkFilter } from './filter'

/** What sockets are put together by. */
export type CensusField = SocketField

export interface CensusOptions extends SocketFilter {
  /** Default `['TIME_WAIT']`. */
  states?: readonly TcpState[] | undefined
  /** Sockets that have all of these in common are one group. Default remote address and port. */
  groupBy?: readonly CensusField[] | undefined
  /**
   * Tell no more than so many groups, the greatest; above 0. Default all. Each group is an object: with
   * 100,000 of them it is the garbage collector that holds the event loop, for longer than 5 ms.
   */
  limit?: number | undefined
  /** Tell when the timers of each group end: for TIME_WAIT, when its ports come back. Default false. */
  timers?: boolean | undefined
}

/** Sockets with something in common: the fields that were grouped by are there. */
export interface CensusGroup {
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

export interface Census {
  /** Sockets that were counted. */
  readonly total: number
  /** How many groups there are, also of those beyond the limit. */
  readonly groupCount: number
  /** The greatest first. */
  readonly groups: readonly CensusGroup[]
  /** The kernel's table changed under the count, three times in a row: some may be missing or double. */
  readonly interrupted: boolean
}

/** The most that are counted: native/sock_diag.cc. */
const MAX_GROUPS = 1_048_576
/** For so long records are read before the event loop has its turn, looked at once in so many. */
const AT_A_STRETCH_MS = 1
const LOOK_EVERY = 64

/**
 * Counts the TCP sockets of this network namespace in groups, those in TIME_WAIT unless others are asked
 * for. The kernel passes over what does not match (inet_diag over netlink, sock_diag(7)); what matches is
 * counted in a thread of the pool. IPv4 and IPv6. Needs no privilege. Linux.
 *
 * At most 1,048,576 groups; more are EOVERFLOW.
 *
 * @throws (as a rejection) ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE;
 *   ERR_SOCKET_TUNER_UNSUPPORTED where there is no such thing; the errno's name when the kernel refuses
 */
export async function timeWaitCensus(options: CensusOptions = {}): Promise<Census> {
  const filter = bytecodeOf(checkFilter('options', options))
  const { timers = false, limit = MAX_GROUPS } = options
  checkBoolean('options.timers', timers)
  checkWhole('options.limit', limit, 1, MAX_GROUPS)
  const states = checkStates(options.states)
  const groupBy = checkFields(options.groupBy)
  const dump = await dumpSockets({ families: BOTH_FAMILIES, states, groupBy, filter })
  const { total, records, interrupted } = dump
  const groups = await read(records, Math.min(records.length, limit), groupBy, timers)
  return { total, groupCount: records.length, groups, interrupted }
}

async function read(
  records: SocketRecords,
  count: number,
  groupBy: readonly CensusField[],
  timers: boolean,
): Promise<CensusGroup[]> {
  const groups: CensusGroup[] = []
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
  groupBy: readonly CensusField[],
  timers: boolean,
): CensusGroup {
  const group: { -readonly [K in keyof CensusGroup]: CensusGroup[K] } = {
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

function checkStates(states: unknown = ['TIME_WAIT']): TcpState[] {
  if (!Array.isArray(states))
    throw new ArgumentTypeError('options.states', 'an array of TCP states', states)
  if (states.length === 0)
    throw new ArgumentValueError('options.states', 'must have at least one state', states)
  return (states as readonly unknown[]).map((state, index) => {
    if (tcpStates.indexOf(state as TcpState) > 0) return state as TcpState
    throw new ArgumentValueError(
      `options.states[${String(index)}]`,
      `must be one of: ${tcpStates.slice(1).join(', ')}`,
      state,
    )
  })
}

function checkFields(groupBy: unknown = ['remoteAddress', 'remotePort']): CensusField[] {
  if (!Array.isArray(groupBy))
    throw new ArgumentTypeError('options.groupBy', 'an array of names of fields', groupBy)
  return (groupBy as readonly unknown[]).map((field, index) => {
    if (socketFields.includes(field as CensusField)) return field as CensusField
    throw new ArgumentValueError(
      `options.groupBy[${String(index)}]`,
      `must be one of: ${socketFields.join(', ')}`,
      field,
    )
  })
}
