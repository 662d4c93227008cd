import { native } from '../kernel/binding'
import { LITTLE, viewOf, type U16, type U32, type U64, type U8 } from '../kernel/bytes'
import { tcpInfoLayout } from '../kernel/layouts'
import { tcpStates, type TcpState } from '../kernel/tcp-states'
import { absentOption, kernelFailure } from '../options/failure'
import { optionOf } from '../options/option'
import { descriptorOf, type Target } from '../target'

const congestionStates = ['open', 'disorder', 'cwr', 'recovery', 'loss'] as const

/** The state of loss recovery (tcpi_ca_state). */
export type CongestionState = (typeof congestionStates)[number]

/** The options negotiated in the handshake, and events since (tcpi_options). */
export interface NegotiatedOptions {
  /** Timestamps (RFC 7323): PAWS rejects delayed segments of old connections. */
  timestamps: boolean
  /** Selective acknowledgements (RFC 2018). */
  sack: boolean
  /** Window scaling (RFC 7323). */
  windowScale: boolean
  /** Explicit congestion notification (RFC 3168) was negotiated. */
  ecn: boolean
  /** At least one packet with ECT was received. */
  ecnSeen: boolean
  /** Data in the SYN was acknowledged (RFC 7413, TCP Fast Open). */
  synData: boolean
  /** Timestamps tick in microseconds (Linux 6.7+). */
  usecTimestamps: boolean
}

/**
 * struct tcp_info of a socket (tcp(7), TCP_INFO; linux/tcp.h). Linux.
 *
 * A field that the running kernel does not return is undefined, never 0. 64-bit counters are numbers, exact up
 * to 2^53 (about 9 PB). `Infinity` is a rate without a limit.
 */
export interface TcpInfo {
  state: TcpState
  caState: CongestionState | undefined
  /** Retransmits of the outstanding segment; 0 once it is acknowledged. */
  retransmits: number
  /** Unanswered zero-window or keepalive probes. */
  probes: number
  /** How often the current retransmission timeout was doubled. */
  backoff: number
  options: NegotiatedOptions
  /** Shift count of the window that the peer announces, 0 to 14. */
  sndWscale: number | undefined
  /** Shift count of the window that this end announces, 0 to 14. */
  rcvWscale: number | undefined
  /** The delivery rate was limited by the application, not by the network. */
  deliveryRateAppLimited: boolean | undefined
  /** Why TCP Fast Open failed on the client's side, 0 to 3. */
  fastopenClientFail: number | undefined
  /** Retransmission timeout, µs. */
  rto: number | undefined
  /** Delayed-acknowledgement timeout, µs. */
  ato: number | undefined
  /** Largest segment that this end sends, bytes. */
  sndMss: number | undefined
  /** Estimated size of the segments that the peer sends, bytes. */
  rcvMss: number | undefined
  /** Sent but not acknowledged, segments. On a listening socket: the length of the accept queue. */
  unacked: number | undefined
  /** Selectively acknowledged, segments. On a listening socket: the limit of the accept queue. */
  sacked: number | undefined
  /** Considered lost, segments. */
  lost: number | undefined
  /** Retransmitted and outstanding, segments. */
  retrans: number | undefined
  /** Forward acknowledgements; 0 on current kernels. */
  fackets: number | undefined
  /** Time since data was last sent, ms. */
  lastDataSent: number | undefined
  /** Never filled by Linux. */
  lastAckSent: number | undefined
  /** Time since data was last received, ms. */
  lastDataRecv: number | undefined
  /** Time since an acknowledgement was last received, ms. */
  lastAckRecv: number | undefined
  /** Path MTU, bytes. */
  pmtu: number | undefined
  /** Threshold of the receive window, bytes. */
  rcvSsthresh: number | undefined
  /** Smoothed round-trip time, µs. */
  rtt: number | undefined
  /** Its mean deviation, µs. */
  rttvar: number | undefined
  /** Slow-start threshold, segments. */
  sndSsthresh: number | undefined
  /** Congestion window, segments. */
  sndCwnd: number | undefined
  /** MSS that this end announces, bytes. */
  advmss: number | undefined
  /** Tolerated reordering, segments. */
  reordering: number | undefined
  /** Round-trip time estimated by the receiver, µs. */
  rcvRtt: number | undefined
  /** Data received per round trip, by which the receive buffer is tuned, bytes. */
  rcvSpace: number | undefined
  /** Segments retransmitted during the connection. */
  totalRetrans: number | undefined
  /** Pacing rate, bytes/s. */
  pacingRate: number | undefined
  /** SO_MAX_PACING_RATE, bytes/s; Infinity if there is no limit. */
  maxPacingRate: number | undefined
  /** Bytes that the peer acknowledged (RFC 4898 tcpEStatsAppHCThruOctetsAcked), the FIN counted as one. */
  bytesAcked: number | undefined
  /** Bytes received in order (RFC 4898 tcpEStatsAppHCThruOctetsReceived), the FIN counted as one. */
  bytesReceived: number | undefined
  segsOut: number | undefined
  segsIn: number | undefined
  /** Written but not sent, bytes. */
  notsentBytes: number | undefined
  /** Minimum round-trip time in a sliding window, µs; 4294967295 before the first sample. */
  minRtt: number | undefined
  dataSegsIn: number | undefined
  dataSegsOut: number | undefined
  /** Most recent delivery rate, bytes/s. */
  deliveryRate: number | undefined
  /** Time during which data was outstanding, µs. */
  busyTime: number | undefined
  /** The part of busyTime limited by the peer's window, µs. */
  rwndLimited: number | undefined
  /** The part of busyTime limited by the send buffer, µs. */
  sndbufLimited: number | undefined
  /** Delivered segments, including retransmitted ones. */
  delivered: number | undefined
  /** Delivered segments with a congestion mark. */
  deliveredCe: number | undefined
  /** Bytes sent, including retransmitted ones. */
  bytesSent: number | undefined
  bytesRetrans: number | undefined
  /** Duplicate SACK blocks received. */
  dsackDups: number | undefined
  /** Reordering events. */
  reordSeen: number | undefined
  /** Segments received out of order. */
  rcvOoopack: number | undefined
  /** Window that the peer announces, bytes (Linux 5.4+). */
  sndWnd: number | undefined
  /** Window that this end announces, bytes (Linux 6.2+). */
  rcvWnd: number | undefined
  /** Changes of the flow hash to find another path (Linux 6.2+). */
  rehash: number | undefined
  /** Retransmission timeouts during the connection (Linux 6.7+). */
  totalRto: number | undefined
  /** Recoveries from retransmission timeouts (Linux 6.7+). */
  totalRtoRecoveries: number | undefined
  /** Time spent in recoveries from retransmission timeouts, ms (Linux 6.7+). */
  totalRtoTime: number | undefined
  /** Accurate ECN (Linux 6.18+): packets with a congestion mark. */
  receivedCe: number | undefined
  deliveredE1Bytes: number | undefined
  deliveredE0Bytes: number | undefined
  deliveredCeBytes: number | undefined
  receivedE1Bytes: number | undefined
  receivedE0Bytes: number | undefined
  receivedCeBytes: number | undefined
  /** The last word of the AccECN fields, undecoded, because its layout differs between kernels. */
  accecnWord: number | undefined
}

// V8 folds constants of this module, but loads imported ones on each access.
const at = tcpInfoLayout

/** Larger than the struct of every known kernel. */
const CAPACITY = 512
const bytes = new Uint8Array(CAPACITY)
const view = viewOf(bytes)
/** The number of bytes that the last call wrote to `bytes`. */
let length = 0

/**
 * Returns TCP_INFO of a socket, with one system call. Linux.
 *
 * @throws ERR_SOCKET_TUNER_UNSUPPORTED; ERR_SOCKET_TUNER_WRONG_SOCKET for a socket that is not TCP; the
 *   errno name if the kernel refuses
 */
export function tcpInfo(target: Target): TcpInfo {
  const fd = descriptorOf(target)
  const option = optionOf('TCP_INFO')
  if (option.number === undefined) throw absentOption(option)
  length = native.tcpInfo(fd, bytes)
  if (length < 0) throw kernelFailure('getsockopt', option, fd, length)
  const wscale = u8(at.windowScales)
  const flags = u8(at.flags)
  return {
    state: tcpStates[u8(at.state) ?? 0] ?? 'CLOSE',
    caState: congestionStates[u8(at.caState) ?? -1],
    retransmits: u8(at.retransmits) ?? 0,
    probes: u8(at.probes) ?? 0,
    backoff: u8(at.backoff) ?? 0,
    options: negotiated(u8(at.options) ?? 0),
    sndWscale: wscale === undefined ? undefined : LITTLE ? wscale & 15 : wscale >>> 4,
    rcvWscale: wscale === undefined ? undefined : LITTLE ? wscale >>> 4 : wscale & 15,
    deliveryRateAppLimited:
      flags === undefined ? undefined : (LITTLE ? flags & 1 : flags >>> 7) === 1,
    fastopenClientFail: flags === undefined ? undefined : (LITTLE ? flags >>> 1 : flags >>> 5) & 3,
    rto: u32(at.rto),
    ato: u32(at.ato),
    sndMss: u32(at.sndMss),
    rcvMss: u32(at.rcvMss),
    unacked: u32(at.unacked),
    sacked: u32(at.sacked),
    lost: u32(at.lost),
    retrans: u32(at.retrans),
    fackets: u32(at.fackets),
    lastDataSent: u32(at.lastDataSent),
    lastAckSent: u32(at.lastAckSent),
    lastDataRecv: u32(at.lastDataRecv),
    lastAckRecv: u32(at.lastAckRecv),
    pmtu: u32(at.pmtu),
    rcvSsthresh: u32(at.rcvSsthresh),
    rtt: u32(at.rtt),
    rttvar: u32(at.rttvar),
    sndSsthresh: u32(at.sndSsthresh),
    sndCwnd: u32(at.sndCwnd),
    advmss: u32(at.advmss),
    reordering: u32(at.reordering),
    rcvRtt: u32(at.rcvRtt),
    rcvSpace: u32(at.rcvSpace),
    totalRetrans: u32(at.totalRetrans),
    pacingRate: u64(at.pacingRate),
    maxPacingRate: u64(at.maxPacingRate),
    bytesAcked: u64(at.bytesAcked),
    bytesReceived: u64(at.bytesReceived),
    segsOut: u32(at.segsOut),
    segsIn: u32(at.segsIn),
    notsentBytes: u32(at.notsentBytes),
    minRtt: u32(at.minRtt),
    dataSegsIn: u32(at.dataSegsIn),
    dataSegsOut: u32(at.dataSegsOut),
    deliveryRate: u64(at.deliveryRate),
    busyTime: u64(at.busyTime),
    rwndLimited: u64(at.rwndLimited),
    sndbufLimited: u64(at.sndbufLimited),
    delivered: u32(at.delivered),
    deliveredCe: u32(at.deliveredCe),
    bytesSent: u64(at.bytesSent),
    bytesRetrans: u64(at.bytesRetrans),
    dsackDups: u32(at.dsackDups),
    reordSeen: u32(at.reordSeen),
    rcvOoopack: u32(at.rcvOoopack),
    sndWnd: u32(at.sndWnd),
    rcvWnd: u32(at.rcvWnd),
    rehash: u32(at.rehash),
    totalRto: u16(at.totalRto),
    totalRtoRecoveries: u16(at.totalRtoRecoveries),
    totalRtoTime: u32(at.totalRtoTime),
    receivedCe: u32(at.receivedCe),
    deliveredE1Bytes: u32(at.deliveredE1Bytes),
    deliveredE0Bytes: u32(at.deliveredE0Bytes),
    deliveredCeBytes: u32(at.deliveredCeBytes),
    receivedE1Bytes: u32(at.receivedE1Bytes),
    receivedE0Bytes: u32(at.receivedE0Bytes),
    receivedCeBytes: u32(at.receivedCeBytes),
    accecnWord: u32(at.accecnWord),
  }
}

/** The fields of TCP_INFO that a close needs. */
export interface ConnectionState {
  /** Undefined for a socket that is not TCP, or if the platform does not report it. */
  readonly state: TcpState | undefined
  /** The platform has TCP_INFO, but the socket is not TCP. */
  readonly notTcp: boolean
  readonly timestamps: boolean
  /** Bytes received in order so far; undefined before Linux 4.1. */
  readonly bytesReceived: number | undefined
  /** Bytes that the peer acknowledged; undefined before Linux 4.1. */
  readonly bytesAcked: number | undefined
  /** In state CLOSE: bytes of data that were sent, retransmitted ones once; undefined before Linux 4.19. */
  readonly bytesSent: number | undefined
  /** The connection was opened with data in its SYN (TCP Fast Open, RFC 7413). */
  readonly synData: boolean
  /** Received segments with data; undefined before Linux 4.6. */
  readonly dataSegsIn: number | undefined
  /** Segments with data that were sent, retransmitted ones included; undefined before Linux 4.6. */
  readonly dataSegsOut: number | undefined
  /** The peer has acknowledged everything that was written; undefined before Linux 4.6. */
  readonly acknowledged: boolean | undefined
}

/** Reads the fields that a close needs, with one system call. */
export function connectionState(fd: number): ConnectionState {
  length = native.tcpInfo(fd, bytes)
  const state = tcpStates[u8(at.state) ?? 0]
  return {
    state,
    notTcp: length < 0 && native.constants.TCP_INFO !== undefined,
    timestamps: ((u8(at.options) ?? 0) & 1) !== 0,
    bytesReceived: u64(at.bytesReceived),
    bytesAcked: u64(at.bytesAcked),
    bytesSent: state === 'CLOSE' ? sentOnce() : undefined,
    synData: ((u8(at.options) ?? 0) & 32) !== 0,
    dataSegsIn: u32(at.dataSegsIn),
    dataSegsOut: u32(at.dataSegsOut),
    acknowledged: isAcknowledged(),
  }
}

function sentOnce(): number | undefined {
  const sent = u64(at.bytesSent)
  const again = u64(at.bytesRetrans)
  return sent === undefined || again === undefined ? undefined : sent - again
}

function isAcknowledged(): boolean | undefined {
  const unsent = u32(at.notsentBytes)
  return unsent === undefined ? undefined : unsent === 0 && u32(at.unacked) === 0
}

function negotiated(bits: number): NegotiatedOptions {
  return {
    timestamps: (bits & 1) !== 0,
    sack: (bits & 2) !== 0,
    windowScale: (bits & 4) !== 0,
    ecn: (bits & 8) !== 0,
    ecnSeen: (bits & 16) !== 0,
    synData: (bits & 32) !== 0,
    usecTimestamps: (bits & 64) !== 0,
  }
}

function u8(offset: U8): number | undefined {
  return offset < length ? bytes[offset] : undefined
}

function u16(offset: U16): number | undefined {
  return offset + 2 <= length ? view.getUint16(offset, LITTLE) : undefined
}

function u32(offset: U32): number | undefined {
  return offset + 4 <= length ? view.getUint32(offset, LITTLE) : undefined
}

function u64(offset: U64): number | undefined {
  if (offset + 8 > length) return undefined
  const high = view.getUint32(offset + (LITTLE ? 4 : 0), LITTLE)
  const low = view.getUint32(offset + (LITTLE ? 0 : 4), LITTLE)
  return high === 0xffff_ffff && low === 0xffff_ffff ? Infinity : high * 2 ** 32 + low
}
