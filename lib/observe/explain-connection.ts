import { ArgumentValueError, isObject } from '../errors'
import { native } from '../kernel/binding'
import { LITTLE, viewOf } from '../kernel/bytes'
import { memoryInfoLayout } from '../kernel/layouts'
import { isPresent, optionOf } from '../options/option'
import { instance, spec, type InputOf } from '../spec'
import { descriptorOf, isStreamSocket, type Target } from '../target'
import type { Explanation, NetworkSymptom, ReceivingLimit } from './explanation'
import { explanationText } from './explanation-text'
import {
  periodLimit,
  presentLimit,
  sendingShares,
  type LimitFound,
  type SendingFigures,
} from './sending-limit'
import { tcpInfo, type TcpInfo } from './tcp-info'

/** Counters of TCP_INFO that never decrease. */
const growing = [
  'bytesAcked',
  'bytesReceived',
  'bytesSent',
  'busyTime',
  'rwndLimited',
  'sndbufLimited',
] as const

export const explainOptions = spec({
  /** An earlier explanation of the same connection. Limits, shares and counts are then of the time since it. */
  since: instance('an earlier result of explainConnection()', isExplanation),
})

/** See docs/observing.md. */
export type ExplainOptions = InputOf<typeof explainOptions>

/** The value of tcpi_min_rtt before the first sample. */
const NO_RTT = 0xffff_ffff
/** As long as the longest delay of an acknowledgement on current systems: data that waits longer is not being read. */
const UNREAD_MS = 200
const RAISED_RTT_US = 5_000

const memory = new Uint8Array(memoryInfoLayout.size)
const memoryView = viewOf(memory)

/**
 * Explains what limits a connection: the peer's window, the send buffer, the network, or the application that does
 * not write or read. Linux; needs no privilege.
 *
 * Without `since`, the limits are those of this moment. An explanation that is passed as `since` later turns them
 * into those of the time between, which is more certain: one moment may be an exception.
 *
 * @throws what `tcpInfo()` throws; ERR_INVALID_ARG_VALUE if `since` is not an earlier explanation of the connection
 */
export function explainConnection(target: Target, options: ExplainOptions = {}): Explanation {
  descriptorOf(target)
  const { since } = explainOptions.check('options', options)
  const stream = isStreamSocket(target) ? target : undefined
  const unwrittenBytes = stream?.writableLength
  const unconsumedBytes = stream?.readableLength
  const fd = descriptorOf(target)
  const info = tcpInfo(fd)
  const unread = native.unreadBytes(fd)
  const unreadBytes = unread < 0 ? undefined : unread
  const takenAtMs = monotonicMs()
  const before = since?.info
  if (since !== undefined) checkOrder(since, info, takenAtMs)
  const periodMs = since === undefined ? undefined : takenAtMs - since.takenAtMs

  const figures: SendingFigures = {
    shares: sendingShares(info, before, periodMs),
    inFlightBytes: bytesInFlight(info),
    unsentBytes: info.notsentBytes,
    unwrittenBytes,
    peerWindowBytes: info.sndWnd,
    congestionWindowBytes: product(info.sndCwnd, info.sndMss),
    ...sendBuffer(fd),
    deliveryRate: info.deliveryRate,
    maxPacingRate: info.maxPacingRate,
  }
  const present = presentLimit(info, figures)
  const sending =
    since === undefined || periodMs === undefined || figures.shares === undefined
      ? present
      : periodLimit(info, figures.shares, periodMs, present, since.sending.now)
  const receiving = receivingLimit(info, unreadBytes, unconsumedBytes, since)
  const explained = {
    takenAtMs,
    periodMs,
    sending: {
      limitedBy: sending.limit,
      isCertain: sending.isCertain,
      now: present.limit,
      ...figures,
    },
    receiving: {
      limitedBy: receiving.limit,
      isCertain: receiving.isCertain,
      unreadBytes,
      unconsumedBytes,
      windowBytes: info.rcvWnd,
      lastReceivedMs: info.lastDataRecv,
    },
    network: networkOf(info, before),
    info,
  }
  return { text: explanationText(explained), ...explained }
}

function isExplanation(value: unknown): value is Explanation {
  if (!isObject(value)) return false
  const { takenAtMs, info, sending, receiving } = value as Partial<Explanation>
  return typeof takenAtMs === 'number' && isObject(info) && isObject(sending) && isObject(receiving)
}

/** Refuses an explanation that is later, or of another connection whose counters show it. */
function checkOrder(since: Explanation, info: TcpInfo, takenAtMs: number): void {
  const isEarlier =
    since.takenAtMs <= takenAtMs &&
    growing.every((name) => {
      const [then, now] = [since.info[name], info[name]]
      return now === undefined || (typeof then === 'number' && then <= now)
    })
  if (!isEarlier)
    throw new ArgumentValueError(
      'options.since',
      'must be an earlier explanation of the same connection',
      since,
    )
}

/** Shared by all threads and processes of the machine, unlike performance.now(). */
function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1000 + nanoseconds / 1e6
}

/** In order of sequence numbers, as the peer's window counts them. */
function bytesInFlight(info: TcpInfo): number | undefined {
  const { bytesSent, bytesRetrans, bytesAcked, unacked, sndMss } = info
  if (unacked === 0) return 0
  if (bytesSent === undefined || bytesRetrans === undefined || bytesAcked === undefined)
    return product(unacked, sndMss)
  // A client counts its SYN as an acknowledged byte.
  return Math.max(0, bytesSent - bytesRetrans - Math.max(0, bytesAcked - 1))
}

/** Undefined before Linux 4.12. */
function sendBuffer(fd: number): {
  sendBufferBytes: number | undefined
  sendBufferUsedBytes: number | undefined
} {
  const option = optionOf('SO_MEMINFO')
  const length = isPresent(option) ? native.getBytes(fd, option.level, option.number, memory) : 0
  const word = (at: number): number | undefined =>
    at + 4 <= length ? memoryView.getUint32(at, LITTLE) : undefined
  return {
    sendBufferBytes: word(memoryInfoLayout.sndbuf),
    sendBufferUsedBytes: word(memoryInfoLayout.wmemQueued),
  }
}

/** States in which the peer may still send. */
const receivingStates = new Set(['ESTABLISHED', 'FIN_WAIT1', 'FIN_WAIT2'])
const unconnected = new Set(['CLOSE', 'LISTEN', 'SYN_SENT', 'SYN_RECV', 'NEW_SYN_RECV'])

function receivingLimit(
  info: TcpInfo,
  unread: number | undefined,
  unconsumed = 0,
  since: Explanation | undefined,
): LimitFound<ReceivingLimit> {
  if (unconnected.has(info.state)) return { limit: 'nothing', isCertain: true }
  if (unread === undefined) return { limit: 'unknown', isCertain: false }
  if (unread > 0) {
    const { lastDataRecv = 0, rcvWnd = Infinity, rcvMss = 1 } = info
    return {
      limit: 'application',
      isCertain:
        lastDataRecv >= UNREAD_MS || rcvWnd < rcvMss || hasReadNothing(info, unread, since),
    }
  }
  if (unconsumed > 0) return { limit: 'application', isCertain: false }
  return receivingStates.has(info.state)
    ? { limit: 'peer-or-network', isCertain: true }
    : { limit: 'nothing', isCertain: true }
}

/** Whether data was unread at the start of the period and none was read during it. */
function hasReadNothing(info: TcpInfo, unread: number, since: Explanation | undefined): boolean {
  if (since === undefined) return false
  const { bytesReceived } = info
  const { unreadBytes = 0 } = since.receiving
  const { bytesReceived: receivedBefore } = since.info
  if (unreadBytes === 0 || bytesReceived === undefined || receivedBefore === undefined) return false
  return bytesReceived - unread === receivedBefore - unreadBytes
}

function networkOf(info: TcpInfo, before: TcpInfo | undefined): Explanation['network'] {
  const { rtt, minRtt, retransmits } = info
  const retransmitted = grown(info.totalRetrans, before?.totalRetrans)
  const sent = grown(info.dataSegsOut, before?.dataSegsOut)
  const duplicates = grown(info.dsackDups, before?.dsackDups)
  const timeouts = grown(info.totalRto, before?.totalRto)
  const reorderings = grown(info.reordSeen, before?.reordSeen)
  const outOfOrderArrivals = grown(info.rcvOoopack, before?.rcvOoopack)
  const congestionMarks = grown(info.deliveredCe, before?.deliveredCe)
  const symptoms: NetworkSymptom[] = []
  if (retransmits > 0) symptoms.push('unanswered')
  if (isMore(retransmitted, duplicates ?? 0)) symptoms.push('loss')
  if (isMore(timeouts, 0)) symptoms.push('timeouts')
  if (isMore(duplicates, 0)) symptoms.push('spurious-retransmits')
  if (isMore(reorderings, 0)) symptoms.push('reordering')
  if (isMore(outOfOrderArrivals, 0)) symptoms.push('out-of-order-arrivals')
  if (isMore(congestionMarks, 0)) symptoms.push('congestion-marks')
  if (isRaised(rtt, minRtt)) symptoms.push('raised-rtt')
  return {
    symptoms,
    rttMs: rtt === undefined || rtt === 0 ? undefined : rtt / 1000,
    smallestRttMs: minRtt === undefined || minRtt === NO_RTT ? undefined : minRtt / 1000,
    retransmittedSegments: retransmitted,
    retransmittedShare:
      retransmitted === undefined || sent === undefined || sent === 0
        ? undefined
        : Math.min(1, retransmitted / sent),
    duplicates,
    timeouts,
    reorderings,
    outOfOrderArrivals,
    congestionMarks,
  }
}

/** A counter of 32 bits wraps. */
function grown(now: number | undefined, before = 0): number | undefined {
  return now === undefined ? undefined : (now - before) >>> 0
}

function isMore(count: number | undefined, than: number): boolean {
  return count !== undefined && count > than
}

function isRaised(rtt: number | undefined, least: number | undefined): boolean {
  if (rtt === undefined || least === undefined || least === NO_RTT) return false
  return rtt >= 2 * least && rtt - least >= RAISED_RTT_US
}

function product(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? undefined : one * other
}
