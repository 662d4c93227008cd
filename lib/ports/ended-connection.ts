/** What is known of a connection that has ended. Only this file decides which end closed it. */
import { isFinAcknowledged, type EndedSocketRecords } from '../kernel/ended-sockets'
import { entriesLeft, tcpInfoLayout } from '../kernel/layouts'
import type { TcpState } from '../kernel/tcp-states'
import type { ConnectionLooks, SeenConnection } from './connection-looks'

/**
 * How a connection ended. `fin`: the peer acknowledged this end's FIN. `reset`: this end reset it at once, as with
 * SO_LINGER 0. `abort`: this end's FIN was not acknowledged, because a RST of either end, or a timeout, came first.
 */
export type EndKind = 'fin' | 'reset' | 'abort'

/** A lifetime, from the handshake until the kernel freed the socket, ms. */
export interface Lifetime {
  /** It lived at least this long: that follows from its last segments and the first look with it. */
  readonly min: number
  /** It lived at most this long: that follows from the last look without it. Undefined if there was none. */
  readonly max: number | undefined
}

/**
 * A connection that has ended. What is not known is undefined, never 0. After a reset by this end the kernel no longer
 * has the peer's port, the counts of bytes and segments, and the round-trip time.
 */
export interface EndedConnection {
  /** The time when its end was read, ms since the epoch. */
  readonly time: number
  /** SO_COOKIE: the identity of the socket while the kernel runs. */
  readonly cookie: bigint
  /** Undefined after a reset by this end, unless a look had shown it. */
  readonly localAddress: string | undefined
  readonly localPort: number
  readonly remoteAddress: string
  /** Undefined after a reset by this end, unless a look had shown it. */
  readonly remotePort: number | undefined
  /** The process that held the socket in the last look, or the only one that listens on the local port. */
  readonly pid: number | undefined
  /** The name of its program, at most 15 characters. */
  readonly command: string | undefined
  /** How the process is known. A `listener` may have passed the connection on to another process. */
  readonly processFrom: 'socket' | 'listener' | undefined
  /** The user that owned the socket, if a look had shown it. */
  readonly uid: number | undefined
  readonly end: EndKind | undefined
  /**
   * The end whose FIN or RST came first, where that is certain. `here`: this end reset it, or keeps TIME_WAIT (or its
   * FIN_WAIT_2) for it, as after both FINs crossed too. `peer`: a look had shown the peer's FIN, or the peer keeps
   * TIME_WAIT in the same network namespace. Undefined after `fin`: this end keeps no entry. Mostly the peer closed
   * first, but TCP_LINGER2 -1, data that arrived after close(), and a full table of entries look the same.
   */
  readonly closedBy: 'here' | 'peer' | undefined
  /** Data bytes that were sent, retransmitted ones once. */
  readonly bytesSent: number | undefined
  /** Bytes that the peer acknowledged (tcpi_bytes_acked): a FIN counts as one, and the SYN of a client. */
  readonly bytesAcked: number | undefined
  /** Bytes received in order (tcpi_bytes_received): a FIN counts as one. */
  readonly bytesReceived: number | undefined
  /** Received bytes that the program did not read: a FIN counts as one. */
  readonly unreadBytes: number | undefined
  readonly segmentsSent: number | undefined
  readonly segmentsReceived: number | undefined
  /** Segments that were sent again. */
  readonly retransmits: number | undefined
  /** Smoothed round-trip time, µs. The delayed acknowledgement of a FIN is a part of it. */
  readonly rttMicroseconds: number | undefined
  /** Minimum round-trip time, µs. */
  readonly minRttMicroseconds: number | undefined
  readonly lifetimeMs: Lifetime
}

const at = tcpInfoLayout
const NO_RTT = 0xffff_ffff
const entries = entriesLeft

/**
 * Returns the connection of a record.
 *
 * @param now on the monotonic clock, ms
 */
export function connectionOf(
  records: EndedSocketRecords,
  index: number,
  looks: ConnectionLooks | undefined,
  now: number,
): EndedConnection {
  const cookie = records.cookie(index)
  const localPort = records.localPort(index)
  const seen = looks?.seen(cookie)
  const isReset = records.remotePort(index) === 0
  const kept = isReset ? undefined : records
  const sent = kept?.info64(index, at.bytesSent)
  const again = kept?.info64(index, at.bytesRetrans)
  const rtt = kept?.info32(index, at.rtt)
  const minRtt = records.info32(index, at.minRtt)
  const listener = seen?.process === undefined ? looks?.listenerOf(localPort) : undefined
  const holder = seen?.process ?? listener
  return {
    time: Date.now(),
    cookie: BigInt(cookie),
    localAddress: isReset ? seen?.localAddress : records.localAddress(index),
    localPort,
    remoteAddress: records.remoteAddress(index),
    remotePort: isReset ? seen?.remotePort : records.remotePort(index),
    pid: holder?.pid,
    command: holder?.command,
    processFrom:
      seen?.process !== undefined ? 'socket' : listener === undefined ? undefined : 'listener',
    uid: seen?.uid,
    ...endOf(records, index, seen?.state, looks?.wasListening(localPort)),
    bytesSent: sent === undefined || again === undefined ? undefined : sent - again,
    bytesAcked: kept?.info64(index, at.bytesAcked),
    bytesReceived: kept?.info64(index, at.bytesReceived),
    unreadBytes: kept?.unreadBytes(index),
    segmentsSent: kept?.info32(index, at.segsOut),
    segmentsReceived: kept?.info32(index, at.segsIn),
    retransmits: kept?.info32(index, at.totalRetrans),
    rttMicroseconds: rtt === 0 ? undefined : rtt,
    minRttMicroseconds: minRtt === NO_RTT ? undefined : minRtt,
    lifetimeMs: lifetimeOf(kept, index, seen, looks?.lastLook, now),
  }
}

/** @param state in the last look, if it showed the connection */
export function endOf(
  records: EndedSocketRecords,
  index: number,
  state: TcpState | undefined,
  isServer: boolean | undefined,
): Pick<EndedConnection, 'end' | 'closedBy'> {
  // Only disconnecting (tcp_disconnect() of the kernel) forgets the port.
  if (records.remotePort(index) === 0) return { end: 'reset', closedBy: 'here' }
  const entry = records.entry(index)
  const isAcknowledged =
    entry === entries.here || entry === entries.atPeer
      ? (isFinAcknowledged(records, index, isServer) ?? true)
      : isFinAcknowledged(records, index, isServer)
  const end = isAcknowledged === undefined ? undefined : isAcknowledged ? 'fin' : 'abort'
  // An entry without an acknowledged FIN is that of another connection.
  if (end !== 'abort' && entry === entries.here) return { end, closedBy: 'here' }
  if (end !== 'abort' && entry === entries.atPeer) return { end, closedBy: 'peer' }
  return { end, closedBy: closerIn(state) }
}

/** Returns the end whose FIN came first, if the state of a look shows it. */
function closerIn(state: TcpState | undefined): 'here' | 'peer' | undefined {
  switch (state) {
    case 'CLOSE_WAIT':
    case 'LAST_ACK':
      return 'peer'
    case 'FIN_WAIT1':
    case 'FIN_WAIT2':
      return 'here'
    default:
      return undefined
  }
}

/** @param records undefined if the kernel has forgotten the times of the last segments */
function lifetimeOf(
  records: EndedSocketRecords | undefined,
  index: number,
  seen: SeenConnection | undefined,
  lastLook: number | undefined,
  now: number,
): Lifetime {
  const known = [
    records?.info32(index, at.lastDataSent),
    records?.info32(index, at.lastDataRecv),
    records?.info32(index, at.lastAckRecv),
    seen === undefined ? undefined : now - seen.firstSeen,
  ].filter((each) => each !== undefined)
  const lastWithout = seen === undefined ? lastLook : seen.lastWithout
  const min = Math.floor(Math.max(0, ...known))
  return {
    min,
    // Clocks of the kernel tick in up to 10 ms.
    max: lastWithout === undefined ? undefined : Math.max(min, Math.ceil(now - lastWithout)),
  }
}
