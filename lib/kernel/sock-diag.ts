/** Sockets as the kernel dumps them, put together by native/kernel/group_table.h. Off the event loop. */
import { native } from './binding'
import { LITTLE } from '../kernel/bytes'
import { addressText } from './addresses'
import { sockDiagFailure } from './sock-diag-failure'
import { tcpStates, type TcpState } from '../kernel/tcp-states'

/** What sockets are put together by. */
export type SocketField = 'localAddress' | 'localPort' | 'remoteAddress' | 'remotePort' | 'state'

const FAMILY = 1
const bits: Readonly<Record<SocketField, number>> = {
  state: 2,
  localPort: 4,
  remotePort: 8,
  localAddress: 16 + FAMILY,
  remoteAddress: 32 + FAMILY,
}

export const socketFields = Object.keys(bits) as SocketField[]

const IPV4 = 1
const IPV6 = 2

/** Sockets of both families. An IPv6 socket may have an IPv4 peer, so there is no IPv4 alone. */
export const BOTH_FAMILIES = IPV4 | IPV6
export const IPV6_ONLY = IPV6

/** TCPF_BOUND_INACTIVE of net/tcp_states.h. */
const BOUND_INACTIVE = 1 << 13

/** What to dump, checked. */
export interface DumpRequest {
  /** BOTH_FAMILIES or IPV6_ONLY. */
  readonly families: number
  readonly states: readonly TcpState[]
  /**
   * Sockets that are bound to a port and neither connected nor listening too, as CLOSE; Linux 6.8.
   * Earlier kernels have no list of them.
   */
  readonly bound?: boolean
  readonly groupBy: readonly SocketField[]
  /** Bytecode of inet_diag; may be empty. */
  readonly filter: Uint8Array
}

export interface Dump {
  readonly total: number
  readonly records: SocketRecords
  readonly interrupted: boolean
  /** Processor time that it took, in a thread of the pool, ms. */
  readonly processorMs: number
}

/**
 * @throws (as a rejection) ERR_SOCKET_TUNER_UNSUPPORTED where there is no such thing; the errno's name
 *   when the kernel refuses
 */
export function dumpSockets(request: DumpRequest): Promise<Dump> {
  const { families, states, bound = false, groupBy, filter } = request
  const wanted = states.reduce(
    (sum, state) => sum | (1 << tcpStates.indexOf(state)),
    bound ? BOUND_INACTIVE : 0,
  )
  const mask = groupBy.reduce((sum, field) => sum | bits[field], 0)
  return new Promise((resolve, reject) => {
    const begun = native.dumpSockets(
      families,
      wanted,
      mask,
      filter,
      (total, records, interrupted, microseconds = 0) => {
        if (records === undefined) reject(failure(total))
        else
          resolve({
            total,
            records: new SocketRecords(records),
            interrupted: interrupted === true,
            processorMs: microseconds / 1000,
          })
      },
    )
    if (begun < 0) reject(failure(begun))
  })
}

function failure(errno: number): Error {
  return sockDiagFailure(errno, 'Sockets cannot be counted', {
    EOVERFLOW: 'more groups than can be told; filter, or group by less',
  })
}

/** struct SocketGroup of native/kernel/group_table.h. */
const RECORD_BYTES = 52
const NO_TIMER = 0xffff_ffff
const AF_INET6 = 10
/** Addresses whose text is remembered: groups have few, or each its own. */
const KNOWN_ADDRESSES = 1_024

/** One record for each group, read in place: none of these calls but those for text allocates. */
export class SocketRecords {
  readonly length: number
  readonly #bytes: Buffer
  readonly #view: DataView
  readonly #known = new Map<number | string, string>()

  constructor(records: ArrayBuffer) {
    this.length = records.byteLength / RECORD_BYTES
    this.#bytes = Buffer.from(records)
    this.#view = new DataView(records)
  }

  count(index: number): number {
    return this.#view.getUint32(index * RECORD_BYTES, LITTLE)
  }

  /** Until the first timer in the group ends, ms; undefined where none runs. */
  firstTimerMs(index: number): number | undefined {
    const first = this.#view.getUint32(index * RECORD_BYTES + 4, LITTLE)
    return first === NO_TIMER ? undefined : first
  }

  /** Until the last one does. */
  lastTimerMs(index: number): number {
    return this.#view.getUint32(index * RECORD_BYTES + 8, LITTLE)
  }

  localPort(index: number): number {
    return this.#view.getUint16(index * RECORD_BYTES + 12, LITTLE)
  }

  remotePort(index: number): number {
    return this.#view.getUint16(index * RECORD_BYTES + 14, LITTLE)
  }

  /** The number of the state: its place in `tcpStates`. */
  stateNumber(index: number): number {
    return this.#view.getUint8(index * RECORD_BYTES + 17)
  }

  localAddress(index: number): string {
    return this.#address(index, 20)
  }

  remoteAddress(index: number): string {
    return this.#address(index, 36)
  }

  #address(index: number, at: number): string {
    const record = index * RECORD_BYTES
    const isSix = this.#view.getUint8(record + 16) === AF_INET6
    const from = record + at
    const to = from + (isSix ? 16 : 4)
    const key = isSix ? this.#bytes.toString('latin1', from, to) : this.#view.getUint32(from)
    const known = this.#known.get(key)
    if (known !== undefined) return known
    const text = addressText(this.#bytes.subarray(from, to))
    if (this.#known.size < KNOWN_ADDRESSES) this.#known.set(key, text)
    return text
  }
}
