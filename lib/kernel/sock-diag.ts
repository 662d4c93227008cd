/** Dumps the TCP sockets of the kernel off the event loop, grouped by native/kernel/group_table.h. */
import { native } from './binding'
import { addressText } from './addresses'
import { LITTLE, type ByteRun, type U16, type U32, type U8 } from './bytes'
import { dumpFamilies, dumpGroupBy as by, socketGroupLayout } from './layouts'
import { sockDiagFailure } from './sock-diag-failure'
import { tcpStates, type TcpState } from './tcp-states'

/** A field by which sockets are grouped. */
export type SocketField = 'localAddress' | 'localPort' | 'remoteAddress' | 'remotePort' | 'state'

const bits: Readonly<Record<SocketField, number>> = {
  state: by.byState,
  localPort: by.byLocalPort,
  remotePort: by.byRemotePort,
  localAddress: by.byLocalAddress | by.byFamily,
  remoteAddress: by.byRemoteAddress | by.byFamily,
}

export const socketFields = Object.keys(bits) as SocketField[]

/** Both families. An IPv6 socket may have an IPv4 peer, so IPv4 alone is not offered. */
export const BOTH_FAMILIES = dumpFamilies.ipv4 | dumpFamilies.ipv6
export const IPV6_ONLY = dumpFamilies.ipv6

/** TCPF_BOUND_INACTIVE of net/tcp_states.h. */
const BOUND_INACTIVE = 1 << 13

/** A checked request. */
interface DumpRequest {
  /** BOTH_FAMILIES or IPV6_ONLY. */
  readonly families: number
  readonly states: readonly TcpState[]
  /**
   * Includes sockets that are bound to a port but neither connected nor listening, with state CLOSE. Linux 6.8 and
   * later; older kernels do not list them.
   */
  readonly bound?: boolean
  readonly groupBy: readonly SocketField[]
  /** Bytecode of inet_diag; may be empty. */
  readonly filter: Uint8Array
}

interface Dump {
  readonly total: number
  readonly records: SocketRecords
  readonly interrupted: boolean
  /** The processor time used, in a thread of the pool, ms. */
  readonly processorMs: number
}

/**
 * @throws (as a rejection) ERR_SOCKET_TUNER_UNSUPPORTED if the kernel lacks support; the errno name if it refuses
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
    EOVERFLOW: 'too many groups; use a filter, or group by fewer fields',
  })
}

const { AF_INET6 } = native.constants
// V8 folds constants of this module, but loads imported ones on each access.
const group = socketGroupLayout
const IPV4_BYTES = 4
const NO_TIMER = 0xffff_ffff
/** The size of the cache of address texts: usually groups share few addresses, or each has its own. */
const KNOWN_ADDRESSES = 1_024

/** One record for each group, read in place. Only the methods that return text allocate. */
export class SocketRecords {
  readonly length: number
  readonly #bytes: Buffer
  readonly #view: DataView
  readonly #known = new Map<number | string, string>()

  constructor(records: ArrayBuffer) {
    this.length = records.byteLength / group.size
    this.#bytes = Buffer.from(records)
    this.#view = new DataView(records)
  }

  count(index: number): number {
    return this.#u32(index, group.count)
  }

  /** Returns the time until the first timer of the group ends, ms; undefined if none runs. */
  firstTimerMs(index: number): number | undefined {
    const first = this.#u32(index, group.leastTimerMs)
    return first === NO_TIMER ? undefined : first
  }

  /** Returns the time until the last timer of the group ends, ms. */
  lastTimerMs(index: number): number {
    return this.#u32(index, group.greatestTimerMs)
  }

  localPort(index: number): number {
    return this.#u16(index, group.localPort)
  }

  remotePort(index: number): number {
    return this.#u16(index, group.remotePort)
  }

  /** Returns the state as an index into `tcpStates`. */
  stateNumber(index: number): number {
    return this.#u8(index, group.state)
  }

  localAddress(index: number): string {
    return this.#address(index, group.localAddress)
  }

  remoteAddress(index: number): string {
    return this.#address(index, group.remoteAddress)
  }

  #u8(index: number, offset: U8): number {
    return this.#view.getUint8(index * group.size + offset)
  }

  #u16(index: number, offset: U16): number {
    return this.#view.getUint16(index * group.size + offset, LITTLE)
  }

  #u32(index: number, offset: U32): number {
    return this.#view.getUint32(index * group.size + offset, LITTLE)
  }

  #address(index: number, { at, size }: ByteRun): string {
    const isSix = this.#u8(index, group.family) === AF_INET6
    const from = index * group.size + at
    const to = from + (isSix ? size : IPV4_BYTES)
    const key = isSix ? this.#bytes.toString('latin1', from, to) : this.#view.getUint32(from)
    const known = this.#known.get(key)
    if (known !== undefined) return known
    const text = addressText(this.#bytes.subarray(from, to))
    if (this.#known.size < KNOWN_ADDRESSES) this.#known.set(key, text)
    return text
  }
}
