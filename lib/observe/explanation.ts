import type { TcpInfo } from './tcp-info'

/**
 * The limit of what a connection sends:
 *
 * - `peer-window`: the peer's receive window is full, because its application does not read or its buffer is small
 * - `send-buffer`: SO_SNDBUF is full of data in flight, so that the application cannot write enough
 * - `network`: the congestion window is full, lost segments are sent again, or the link or its queue is busy
 * - `pacing`: SO_MAX_PACING_RATE
 * - `partial-segment`: a segment that is not full is held back (Nagle's algorithm, TCP_CORK)
 * - `application`: everything written has been sent, and the application writes no more
 * - `nothing`: nothing can be sent: the socket is not connected, or its direction has ended
 * - `unknown`: the figures do not show it
 */
export type SendingLimit =
  | 'peer-window'
  | 'send-buffer'
  | 'network'
  | 'pacing'
  | 'partial-segment'
  | 'application'
  | 'nothing'
  | 'unknown'

/**
 * The limit of what a connection receives:
 *
 * - `application`: data that arrived has not been read
 * - `peer-or-network`: everything that arrived has been read. This end cannot see whether the peer sends no more,
 *   the network carries no more, or the receive window is small for the round trip
 * - `nothing`: nothing can be received: the socket is not connected, or its direction has ended
 * - `unknown`: the figures do not show it
 */
export type ReceivingLimit = 'application' | 'peer-or-network' | 'nothing' | 'unknown'

/**
 * What the network did to a connection:
 *
 * - `unanswered`: the peer does not answer at the moment; the retransmission timer has expired
 * - `loss`: segments were sent again, more than the peer reported as duplicates
 * - `timeouts`: a retransmission timer has expired (Linux 6.7+)
 * - `spurious-retransmits`: the peer received segments twice
 * - `reordering`: segments arrived at the peer in another order
 * - `out-of-order-arrivals`: segments arrived here in another order, or after a loss
 * - `congestion-marks`: routers marked segments (ECN)
 * - `raised-rtt`: the round trip is at least twice the smallest, and at least 5 ms longer: a queue, or delayed
 *   acknowledgements
 */
export type NetworkSymptom =
  | 'unanswered'
  | 'loss'
  | 'timeouts'
  | 'spurious-retransmits'
  | 'reordering'
  | 'out-of-order-arrivals'
  | 'congestion-marks'
  | 'raised-rtt'

/** Parts of a time, 0 to 1. */
export interface SendingShares {
  /** Limited by the peer's window. */
  peerWindow: number
  /** Limited by the send buffer. */
  sendBuffer: number
  /** Data was in flight or waited for the network: the congestion window, pacing, or only the round trip. */
  underway: number
  /** There was nothing to send. Undefined without `since`: the kernel does not report the age of a connection. */
  idle: number | undefined
}

/** The result of `explainConnection()`. A figure that the running kernel does not return is undefined. */
export interface Explanation {
  /** The limits and their main figures in a sentence or two. */
  text: string
  /** The time of the figures by the monotonic clock of the machine, ms. */
  takenAtMs: number
  /** The time since the explanation that was passed as `since`, ms; undefined without it. */
  periodMs: number | undefined
  sending: {
    /** The limit of the period if `since` was passed, else of this moment. */
    limitedBy: SendingLimit
    /** The figures leave no other limit. */
    isCertain: boolean
    /** The limit of this moment. */
    now: SendingLimit
    /** Of the period if `since` was passed, else of the time in which data was underway since the connection began. */
    shares: SendingShares | undefined
    inFlightBytes: number | undefined
    /** In the kernel, not sent yet. */
    unsentBytes: number | undefined
    /** In the stream of Node, not passed to the kernel yet; undefined if the target is no stream. */
    unwrittenBytes: number | undefined
    peerWindowBytes: number | undefined
    congestionWindowBytes: number | undefined
    /** SO_SNDBUF, and how much of it is in use. Both count the memory of the data, which is more than the data. */
    sendBufferBytes: number | undefined
    sendBufferUsedBytes: number | undefined
    /** Bytes/s, of the latest acknowledgement. */
    deliveryRate: number | undefined
    /** SO_MAX_PACING_RATE, bytes/s; Infinity if there is no limit. */
    maxPacingRate: number | undefined
  }
  receiving: {
    limitedBy: ReceivingLimit
    /** The figures leave no other limit. */
    isCertain: boolean
    /** In the kernel, not read by Node yet. */
    unreadBytes: number | undefined
    /** In the stream of Node, not read by the application yet; undefined if the target is no stream. */
    unconsumedBytes: number | undefined
    /** The window that this end announces (Linux 6.2+). */
    windowBytes: number | undefined
    /** The time since data was last received, ms. Counts from the start of the connection if none was. */
    lastReceivedMs: number | undefined
  }
  /** Counts are of the period if `since` was passed, else since the connection began. */
  network: {
    symptoms: NetworkSymptom[]
    /** Undefined before the first sample. */
    rttMs: number | undefined
    /** In a sliding window of minutes. */
    smallestRttMs: number | undefined
    retransmittedSegments: number | undefined
    /** The part of the sent segments that were sent again, 0 to 1. */
    retransmittedShare: number | undefined
    /** Segments that the peer received twice. */
    duplicates: number | undefined
    timeouts: number | undefined
    reorderings: number | undefined
    outOfOrderArrivals: number | undefined
    congestionMarks: number | undefined
  }
  /** TCP_INFO, from which the figures are. */
  info: TcpInfo
}
