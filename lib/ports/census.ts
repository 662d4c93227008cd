import { setImmediate as nextTurn } from 'node:timers/promises'
import { getSystemErrorName } from 'node:util'
import { native } from '../binding'
import { checkPort, familyOf } from '../connect/address'
import {
  ArgumentTypeError,
  ArgumentValueError,
  SocketOptionError,
  checkBoolean,
  checkOptions,
} from '../errors'
import { tcpStates, type TcpState } from '../observe/tcp-info'
import { LITTLE } from '../options/codec'
import { addressText } from './address'
import { bytecodeOf, type SocketFilter } from './filter'

/** What sockets are put together by. */
export type CensusField = 'localAddress' | 'localPort' | 'remoteAddress' | 'remotePort' | 'state'

export interface CensusOptions extends SocketFilter {
  /** Default `['TIME_WAIT']`. */
  states?: readonly TcpState[] | undefined
  /** Sockets that have all of these in common are one group. Default remote address and port. */
  groupBy?: readonly CensusField[] | undefined
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
  /** The greatest first. */
  readonly groups: readonly CensusGroup[]
  /** The kernel's table changed under the count, three times in a row: some may be missing or double. */
  readonly interrupted: boolean
}

const BOTH_FAMILIES = 3

const FAMILY = 1
const bits: Readonly<Record<CensusField, number>> = {
  state: 2,
  localPort: 4,
  remotePort: 8,
  localAddress: 16 + FAMILY,
  remoteAddress: 32 + FAMILY,
}

const fields = Object.keys(bits) as CensusField[]

/** struct SocketGroup of native/sock_diag_dump.h. */
const RECORD_BYTES = 52
const NO_TIMER = 0xffff_ffff
const AF_INET6 = 10
/** So many are read between two turns of the event loop: about a millisecond's work. */
const AT_A_STRETCH = 1_000

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
  checkOptions('options', options)
  const { timers = false } = options
  checkBoolean('options.timers', timers)
  const states = checkStates(options.states)
  const groupBy = checkFields(options.groupBy)
  const filter = bytecodeOf(checkFilter(options))
  const mask = groupBy.reduce((sum, field) => sum | bits[field], 0)
  const { total, records, interrupted } = await dump(states, mask, filter)
  return { total, groups: await read(new Uint8Array(records), groupBy, timers), interrupted }
}

interface Dumped {
  readonly total: number
  readonly records: ArrayBuffer
  readonly interrupted: boolean
}

function dump(states: number, mask: number, filter: Uint8Array): Promise<Dumped> {
  return new Promise((resolve, reject) => {
    const begun = native.dumpSockets(
      BOTH_FAMILIES,
      states,
      mask,
      filter,
      (total, records, interrupted) => {
        if (records === undefined) reject(failure(total))
        else resolve({ total, records, interrupted: interrupted === true })
      },
    )
    if (begun < 0) reject(failure(begun))
  })
}

async function read(
  records: Uint8Array,
  groupBy: readonly CensusField[],
  timers: boolean,
): Promise<CensusGroup[]> {
  const view = new DataView(records.buffer)
  const groups: CensusGroup[] = []
  for (let offset = 0; offset < records.length; offset += RECORD_BYTES) {
    groups.push(groupAt(records, view, offset, groupBy, timers))
    if (groups.length % AT_A_STRETCH === 0) await nextTurn()
  }
  return groups
}

function groupAt(
  records: Uint8Array,
  view: DataView,
  offset: number,
  groupBy: readonly CensusField[],
  timers: boolean,
): CensusGroup {
  const group: { -readonly [K in keyof CensusGroup]: CensusGroup[K] } = {
    count: view.getUint32(offset, LITTLE),
  }
  const bytes = view.getUint8(offset + 16) === AF_INET6 ? 16 : 4
  for (const field of groupBy) {
    switch (field) {
      case 'localPort':
        group.localPort = view.getUint16(offset + 12, LITTLE)
        break
      case 'remotePort':
        group.remotePort = view.getUint16(offset + 14, LITTLE)
        break
      case 'state':
        group.state = tcpStates[view.getUint8(offset + 17)] ?? 'CLOSE'
        break
      case 'localAddress':
        group.localAddress = addressText(records.subarray(offset + 20, offset + 20 + bytes))
        break
      case 'remoteAddress':
        group.remoteAddress = addressText(records.subarray(offset + 36, offset + 36 + bytes))
        break
    }
  }
  const first = view.getUint32(offset + 4, LITTLE)
  if (timers && first !== NO_TIMER) {
    group.firstTimerMs = first
    group.lastTimerMs = view.getUint32(offset + 8, LITTLE)
  }
  return group
}

/** A bit for each state. */
function checkStates(states: unknown = ['TIME_WAIT']): number {
  if (!Array.isArray(states))
    throw new ArgumentTypeError('options.states', 'an array of TCP states', states)
  if (states.length === 0)
    throw new ArgumentValueError('options.states', 'must have at least one state', states)
  return (states as readonly unknown[]).reduce<number>((sum, state, index) => {
    const number = tcpStates.indexOf(state as TcpState)
    if (number > 0) return sum | (1 << number)
    throw new ArgumentValueError(
      `options.states[${String(index)}]`,
      `must be one of: ${tcpStates.slice(1).join(', ')}`,
      state,
    )
  }, 0)
}

function checkFields(groupBy: unknown = ['remoteAddress', 'remotePort']): CensusField[] {
  if (!Array.isArray(groupBy))
    throw new ArgumentTypeError('options.groupBy', 'an array of names of fields', groupBy)
  return (groupBy as readonly unknown[]).map((field, index) => {
    if (fields.includes(field as CensusField)) return field as CensusField
    throw new ArgumentValueError(
      `options.groupBy[${String(index)}]`,
      `must be one of: ${fields.join(', ')}`,
      field,
    )
  })
}

function checkFilter(options: CensusOptions): SocketFilter {
  const { localAddress, localPort, remoteAddress, remotePort } = options
  if (localAddress !== undefined) familyOf('options.localAddress', localAddress)
  if (remoteAddress !== undefined) familyOf('options.remoteAddress', remoteAddress)
  if (localPort !== undefined) checkPort('options.localPort', localPort)
  if (remotePort !== undefined) checkPort('options.remotePort', remotePort)
  return { localAddress, localPort, remoteAddress, remotePort }
}

function failure(errno: number): SocketOptionError {
  const code = getSystemErrorName(errno)
  if (code === 'EOPNOTSUPP' || code === 'ENOTSUP' || code === 'ENOPROTOOPT') {
    return new SocketOptionError(`Sockets cannot be counted on ${process.platform}`, {
      code: 'ERR_SOCKET_TUNER_UNSUPPORTED',
      errno,
    })
  }
  const why = code === 'EOVERFLOW' ? ': more groups than can be told; filter, or group by less' : ''
  return new SocketOptionError(`sock_diag: ${code}${why}`, { code, errno, syscall: 'sock_diag' })
}
