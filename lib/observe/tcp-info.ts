import { native } from '../kernel/binding'
import { LITTLE, viewOf } from '../kernel/bytes'
import { tcpStates, type TcpState } from '../kernel/tcp-states'
import { absentOption, kernelFailure } from '../options/failure'
import { optionOf } from '../options/option'
import { descriptorOf, type Target } from '../target'

const congestionStates = ['open', 'disorder', 'cwr', 'recovery', 'loss'] as const

/** TCP_INFO's tcpi_ca_state: where loss recovery stands. */
export type CongestionState = (typeof congestionStates)[number]

/** What both ends agreed on in the handshake, and what was seen since (tcpi_options). */
export interface NegotiatedOptions {
  /** Timestamps (RFC 7323): PAWS rejects delayed segments of old connections. */
  timestamps: boolean
  /** Selective acknowledgements (RFC 2018). */
  sack: boolean
  /** Window scaling (RFC 7323). */
  windowScale: boolean
  /** Explicit congestion notification (RFC 3168) was negotiated. */
  ecn: boolean
  /** At least one packet with ECT came in. */
  ecnSeen: boolean
  /** Data in the SYN was acknowledged (RFC 7413, TCP Fast Open). */
  synData: boolean
  /** Timestamps tick in microseconds (Linux 6.7+). */
  usecTimestamps: boolean
}

/**
 * struct tcp_info of a socket (tcp(7), TCP_INFO; linux/tcp.h). Linux.
 *
 * A field that the running kernel does not return is undefined, never 0. 64-bit counters are
 * numbers: exact up to 2^53, about 9 PB; `Infinity` for a rate that is not limited.
 */
export interface TcpInfo {
  state: TcpState
  caState: CongestionState | undefined
  /** Retransmits of the segment that is outstanding; 0 again when it is acknowledged. */
  retransmits: number
  /** Unanswered zero-window or keepalive probes. */
  probes: number
  /** Doublings of the retransmission timeout in force. */
  backoff: number
  options: NegotiatedOptions
  /** Shift count of the window that the peer advertises, 0 to 14. */
  sndWscale: number | undefined
  /** Shift count of the window that we advertise, 0 to 14. */
  rcvWscale: number | undefined
  /** The delivery rate was limited by the application, not by the network. */
  deliveryRateAppLimited: boolean | undefined
  /** Why TCP Fast Open failed on the client's side, 0 to 3. */
  fastopenClientFail: number | undefined
  /** Retransmission timeout, µs. */
  rto: number | undefined
  /** Delayed-acknowledgement timeout, µs. */
  ato: number | undefined
  /** Largest segment that we send, bytes. */
  sndMss: number | undefined
  /** Largest segment that we expect, bytes. */
  rcvMss: number | undefined
  /** Sent and not acknowledged, segments. On a listening socket: the length of the accept queue. */
  unacked: number | undefined
  /** Selectively acknowledged, segments. On a listening socket: the limit of the accept queue. */
  sacked: number | undefined
  /** Taken for lost, segments. */
  lost: number | undefined
  /** Retransmitted and outstanding, segments. */
  retrans: number | undefined
  /** Forward acknowledgements; 0 on present kernels. */
  fackets: number | undefined
  /** Since data was last sent, ms. */
  lastDataSent: number | undefined
  /** Never filled by Linux. */
  lastAckSent: number | undefined
  /** Since data last came in, ms. */
  lastDataRecv: number | undefined
  /** Since an acknowledgement last came in, ms. */
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
  /** MSS that we advertise, bytes. */
  advmss: number | undefined
  /** Reordering that is tolerated, segments. */
  reordering: number | undefined
  /** Round-trip time as the receiver estimates it, µs. */
  rcvRtt: number | undefined
  /** Space that the receive buffer tuning aims at, bytes. */
  rcvSpace: number | undefined
  /** Segments retransmitted in the connection's life. */
  totalRetrans: number | undefined
  /** Pacing rate, bytes/s. */
  pacingRate: number | undefined
  /** SO_MAX_PACING_RATE, bytes/s; Infinity when there is no limit. */
  maxPacingRate: number | undefined
  /** Bytes that the peer acknowledged (RFC 4898 tcpEStatsAppHCThruOctetsAcked), the FIN counted as one. */
  bytesAcked: number | undefined
  /** Bytes received in order (RFC 4898 tcpEStatsAppHCThruOctetsReceived), the FIN counted as one. */
  bytesReceived: number | undefined
  segsOut: number | undefined
  segsIn: number | undefined
  /** Written and not sent, bytes. */
  notsentBytes: number | undefined
  /** Least round-trip time in the window of observation, µs; 4294967295 before the first sample. */
  minRtt: number | undefined
  dataSegsIn: number | undefined
  dataSegsOut: number | undefined
  /** Most recent delivery rate, bytes/s. */
  deliveryRate: number | undefined
  /** Time in which data was outstanding, µs. */
  busyTime: number | undefined
  /** Of it, limited by the peer's window, µs. */
  rwndLimited: number | undefined
  /** Of it, limited by our send buffer, µs. */
  sndbufLimited: number | undefined
  /** Segments delivered, retransmitted ones included. */
  delivered: number | undefined
  /** Of them, with a congestion mark. */
  deliveredCe: number | undefined
  /** Bytes sent, retransmitted ones included. */
  bytesSent: number | undefined
  bytesRetrans: number | undefined
  /** Duplicate SACK blocks received. */
  dsackDups: number | undefined
  /** Reordering events. */
  reordSeen: number | undefined
  /** Segments received out of order. */
  rcvOoopack: number | undefined
  /** Window that the peer advertises, bytes (Linux 5.4+). */
  sndWnd: number | undefined
  /** Window that we advertise, bytes (Linux 6.2+). */
  rcvWnd: number | undefined
  /** Attempts to find another path by a new flow hash (Linux 6.2+). */
  rehash: number | undefined
  /** Retransmission timeouts in the connection's life (Linux 6.7+). */
  totalRto: number | undefined
  /** Recoveries from them (Linux 6.7+). */
  totalRtoRecoveries: number | undefined
  /** Time spent in them, ms (Linux 6.7+). */
  totalRtoTime: number | undefined
  /** Accurate ECN (Linux 6.18+): packets with a congestion mark. */
  receivedCe: number | undefined
  deliveredE1Bytes: number | undefined
  deliveredE0Bytes: number | undefined
  deliveredCeBytes: number | undefined
  receivedE1Bytes: number | undefined
  receivedE0Bytes: number | undefined
  receivedCeBytes: number | undefined
  /** The last word of the AccECN fields, raw: its layout is not the same in all kernels. */
  accecnWord: number | undefined
}

/** Room for every field known here and for some that are not. */
const CAPACITY = 512
const bytes = new Uint8Array(CAPACITY)
const view = viewOf(bytes)
/** How much of `bytes` the last call filled. */
let length = 0

/**
 * Reads TCP_INFO, with one system call. Linux.
 *
 * @throws ERR_SOCKET_TUNER_UNSUPPORTED, ERR_SOCKET_TUNER_WRONG_SOCKET for a socket that is not TCP;
 *   the errno's name when the kernel refuses
 */
export function tcpInfo(target: Target): TcpInfo {
  const fd = descriptorOf(target)
  const option = optionOf('TCP_INFO')
  if (option.number === undefined) throw absentOption(option)
  length = native.tcpInfo(fd, bytes)
  if (length < 0) throw kernelFailure('getsockopt', option, fd, length)
  const wscale = u8(6)
  const flags = u8(7)
  return {
    state: tcpStates[u8(0) ?? 0] ?? 'CLOSE',
    caState: congestionStates[u8(1) ?? -1],
    retransmits: u8(2) ?? 0,
    probes: u8(3) ?? 0,
    backoff: u8(4) ?? 0,
    options: negotiated(u8(5) ?? 0),
    sndWscale: wscale === undefined ? undefined : LITTLE ? wscale & 15 : wscale >>> 4,
    rcvWscale: wscale === undefined ? undefined : LITTLE ? wscale >>> 4 : wscale & 15,
    deliveryRateAppLimited:
      flags === undefined ? undefined : (LITTLE ? flags & 1 : flags >>> 7) === 1,
    fastopenClientFail: flags === undefined ? undefined : (LITTLE ? flags >>> 1 : flags >>> 5) & 3,
    rto: u32(8),
    ato: u32(12),
    sndMss: u32(16),
    rcvMss: u32(20),
    unacked: u32(24),
    sacked: u32(28),
    lost: u32(32),
    retrans: u32(36),
    fackets: u32(40),
    lastDataSent: u32(44),
    lastAckSent: u32(48),
    lastDataRecv: u32(52),
    lastAckRecv: u32(56),
    pmtu: u32(60),
    rcvSsthresh: u32(64),
    rtt: u32(68),
    rttvar: u32(72),
    sndSsthresh: u32(76),
    sndCwnd: u32(80),
    advmss: u32(84),
    reordering: u32(88),
    rcvRtt: u32(92),
    rcvSpace: u32(96),
    totalRetrans: u32(100),
    pacingRate: u64(104),
    maxPacingRate: u64(112),
    bytesAcked: u64(120),
    bytesReceived: u64(128),
    segsOut: u32(136),
    segsIn: u32(140),
    notsentBytes: u32(144),
    minRtt: u32(148),
    dataSegsIn: u32(152),
    dataSegsOut: u32(156),
    deliveryRate: u64(160),
    busyTime: u64(168),
    rwndLimited: u64(176),
    sndbufLimited: u64(184),
    delivered: u32(192),
    deliveredCe: u32(196),
    bytesSent: u64(200),
    bytesRetrans: u64(208),
    dsackDups: u32(216),
    reordSeen: u32(220),
    rcvOoopack: u32(224),
    sndWnd: u32(228),
    rcvWnd: u32(232),
    rehash: u32(236),
    totalRto: u16(240),
    totalRtoRecoveries: u16(242),
    totalRtoTime: u32(244),
    receivedCe: u32(248),
    deliveredE1Bytes: u32(252),
    deliveredE0Bytes: u32(256),
    deliveredCeBytes: u32(260),
    receivedE1Bytes: u32(264),
    receivedE0Bytes: u32(268),
    receivedCeBytes: u32(272),
    accecnWord: u32(276),
  }
}

/** What a close has to know of its connection. */
export interface ConnectionState {
  /** undefined for a socket that is not TCP, or where the platform does not tell. */
  readonly state: TcpState | undefined
  /** The platform does tell, and the socket is none. */
  readonly notTcp: boolean
  readonly timestamps: boolean
  /** Bytes received in order so far; undefined where the kernel does not tell (before Linux 4.1). */
  readonly bytesReceived: number | undefined
  /** Bytes that the peer acknowledged; undefined likewise. */
  readonly bytesAcked: number | undefined
  /** The connection was opened with data in its SYN (TCP Fast Open, RFC 7413). */
  readonly synData: boolean
  /** Segments with data that came; undefined before Linux 4.6. */
  readonly dataSegsIn: number | undefined
}

/** The few fields that closing needs, with one system call and without the rest of the object. */
export function connectionState(fd: number): ConnectionState {
  length = native.tcpInfo(fd, bytes)
  return {
    state: tcpStates[u8(0) ?? 0],
    notTcp: length < 0 && native.constants.TCP_INFO !== undefined,
    timestamps: ((u8(5) ?? 0) & 1) !== 0,
    bytesReceived: u64(128),
    bytesAcked: u64(120),
    synData: ((u8(5) ?? 0) & 32) !== 0,
    dataSegsIn: u32(152),
  }
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

function u8(offset: number): number | undefined {
  return offset < length ? bytes[offset] : undefined
}

function u16(offset: number): number | undefined {
  return offset + 2 <= length ? view.getUint16(offset, LITTLE) : undefined
}

function u32(offset: number): number | undefined {
  return offset + 4 <= length ? view.getUint32(offset, LITTLE) : undefined
}

function u64(offset: number): number | undefined {
  if (offset + 8 > length) return undefined
  const high = view.getUint32(offset + (LITTLE ? 4 : 0), LITTLE)
  const low = view.getUint32(offset + (LITTLE ? 0 : 4), LITTLE)
  return high === 0xffff_ffff && low === 0xffff_ffff ? Infinity : high * 2 ** 32 + low
}
