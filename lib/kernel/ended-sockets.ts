/** Receives the last data of each TCP socket that the kernel frees: see native/kernel/ended_sockets.h. */
import { Buffer } from 'node:buffer'
import { constants as os } from 'node:os'
import { addressText } from './addresses'
import { native } from './binding'
import { LITTLE, type ByteRun, type U32, type U64, type U8 } from './bytes'
import { endedSocketLayout, tcpInfoLayout } from './layouts'
import { sockDiagFailure } from './sock-diag-failure'

/** kMostAtATime of native/kernel/ended_sockets.h. */
const MOST_RECORDS = 512
const IPV4_BYTES = 4
/** Addresses of which the text is kept. */
const KNOWN_ADDRESSES = 1_024

const { AF_INET6 } = native.constants
// V8 folds constants of this module, but loads imported ones on each access.
const socket = endedSocketLayout
const tcpInfo = tcpInfoLayout

export interface EndedSocketEvents {
  /** The records are valid until the call returns. */
  ended(records: EndedSocketRecords, count: number): void
  /** Nothing more is received. */
  failed(error: Error): void
}

/** A subscription. Does not keep the event loop alive. */
export class EndedSocketFeed {
  readonly #owner = {}
  readonly #records = new EndedSocketRecords(new ArrayBuffer(MOST_RECORDS * socket.size))
  readonly #events: EndedSocketEvents
  #open = true
  #lost = 0

  /** @throws ERR_SOCKET_TUNER_UNSUPPORTED; the name of the errno if the kernel refuses */
  constructor(receiveBufferBytes: number, events: EndedSocketEvents) {
    this.#events = events
    // Bun exports the functions of libuv, and ends the process when one is called.
    const error =
      process.versions.bun === undefined
        ? native.openEndedSockets(
            this.#owner,
            this.#records.bytes,
            receiveBufferBytes,
            this.#report.bind(this),
          )
        : -os.errno.ENOSYS
    if (error < 0) throw failure(error)
  }

  /** The number of broadcasts that were lost: the program did not read them in time. */
  get lost(): number {
    if (this.#open) this.#countLost()
    return this.#lost
  }

  close(): void {
    if (!this.#open) return
    // The closed socket no longer has the count.
    this.#countLost()
    this.#open = false
    native.closeEndedSockets(this.#owner)
  }

  #countLost(): void {
    this.#lost = Math.max(this.#lost, native.lostEndedSockets(this.#owner))
  }

  #report(result: number): void {
    if (!this.#open) return
    if (result >= 0) this.#events.ended(this.#records, result)
    else {
      this.#open = false
      this.#events.failed(failure(result))
    }
  }
}

function failure(errno: number): Error {
  return sockDiagFailure(errno, 'Ended connections are not reported')
}

/** Records of ended sockets, read in place. Only the methods that return text allocate. */
export class EndedSocketRecords {
  readonly bytes: Uint8Array
  readonly #buffer: Buffer
  readonly #view: DataView
  readonly #known = new Map<number | string, string>()

  constructor(records: ArrayBuffer) {
    this.bytes = new Uint8Array(records)
    this.#buffer = Buffer.from(records)
    this.#view = new DataView(records)
  }

  /** Returns SO_COOKIE, as a number: the kernel counts them from 1. */
  cookie(index: number): number {
    return this.#u64(index * socket.size + socket.cookie)
  }

  unreadBytes(index: number): number {
    return this.#view.getUint32(index * socket.size + socket.unread, LITTLE)
  }

  localPort(index: number): number {
    return this.#view.getUint16(index * socket.size + socket.localPort, LITTLE)
  }

  /** Returns 0 once this end has reset the connection: the kernel forgets the port. */
  remotePort(index: number): number {
    return this.#view.getUint16(index * socket.size + socket.remotePort, LITTLE)
  }

  localAddress(index: number): string {
    return this.#address(index, socket.localAddress)
  }

  remoteAddress(index: number): string {
    return this.#address(index, socket.remoteAddress)
  }

  /** Returns a value of `entriesLeft`. */
  entry(index: number): number {
    return this.#view.getUint8(index * socket.size + socket.entry)
  }

  /** Returns a member of struct tcp_info. */
  info8(index: number, offset: U8): number | undefined {
    return this.#has(index, offset + 1)
      ? this.#view.getUint8(index * socket.size + socket.info.at + offset)
      : undefined
  }

  info32(index: number, offset: U32): number | undefined {
    return this.#has(index, offset + 4)
      ? this.#view.getUint32(index * socket.size + socket.info.at + offset, LITTLE)
      : undefined
  }

  info64(index: number, offset: U64): number | undefined {
    return this.#has(index, offset + 8)
      ? this.#u64(index * socket.size + socket.info.at + offset)
      : undefined
  }

  #has(index: number, end: number): boolean {
    return end <= this.#view.getUint32(index * socket.size + socket.infoLength, LITTLE)
  }

  #u64(at: number): number {
    const high = this.#view.getUint32(at + (LITTLE ? 4 : 0), LITTLE)
    return high * 2 ** 32 + this.#view.getUint32(at + (LITTLE ? 0 : 4), LITTLE)
  }

  #address(index: number, { at, size }: ByteRun): string {
    const isSix = this.#view.getUint8(index * socket.size + socket.family) === AF_INET6
    const from = index * socket.size + at
    const to = from + (isSix ? size : IPV4_BYTES)
    const key = isSix ? this.#buffer.toString('latin1', from, to) : this.#view.getUint32(from)
    const known = this.#known.get(key)
    if (known !== undefined) return known
    const text = addressText(this.#buffer.subarray(from, to))
    if (this.#known.size < KNOWN_ADDRESSES) this.#known.set(key, text)
    return text
  }
}

/** The value of tcpi_min_rtt before the first sample. */
const NO_RTT = 0xffff_ffff

/** Whether the socket has ever been connected. A listening one, and one whose connect() failed, have not. */
export function wasConnected(records: EndedSocketRecords, index: number): boolean {
  return (
    (records.info32(index, tcpInfo.minRtt) ?? NO_RTT) !== NO_RTT ||
    (records.info32(index, tcpInfo.delivered) ?? 0) > 0 ||
    (records.info64(index, tcpInfo.bytesReceived) ?? 0) > 0 ||
    (records.info64(index, tcpInfo.bytesAcked) ?? 0) > 0
  )
}

/** tcpi_options: data in the SYN was acknowledged. */
const SYN_DATA = 32

/**
 * Whether the peer acknowledged this end's FIN; undefined where the numbers do not show it.
 *
 * tcpi_bytes_acked counts the FIN as a byte, and in a client the SYN too; tcpi_bytes_sent counts neither. Without
 * retransmits, tcpi_delivered shows a FIN that was a segment by itself.
 *
 * @param isServer undefined if it is not known which end connected
 */
export function isFinAcknowledged(
  records: EndedSocketRecords,
  index: number,
  isServer: boolean | undefined,
): boolean | undefined {
  const sent = records.info64(index, tcpInfo.bytesSent)
  const again = records.info64(index, tcpInfo.bytesRetrans)
  const acknowledged = records.info64(index, tcpInfo.bytesAcked)
  const options = records.info8(index, tcpInfo.options) ?? 0
  if (sent === undefined || again === undefined || acknowledged === undefined) return undefined
  if ((options & SYN_DATA) !== 0) return undefined
  const beyond = acknowledged - (sent - again)
  // Not all data was acknowledged, or none.
  if (beyond <= 0) return false
  if (beyond >= 2) return beyond === 2 ? true : undefined
  const delivered = records.info32(index, tcpInfo.delivered) ?? 0
  const segments = records.info32(index, tcpInfo.dataSegsOut) ?? 0
  const retransmits = records.info32(index, tcpInfo.totalRetrans) ?? 1
  if (retransmits === 0 && delivered === segments + 2) return true
  return isServer
}
