/** Decides who keeps TIME_WAIT. No other file does. */
import { native } from '../kernel/binding'
import type { ConnectionState } from '../observe/tcp-info'
import { hasReceivedFin, type TcpState } from '../kernel/tcp-states'
import type { Transferred } from './pending'

/**
 * Who keeps the 60 s of TIME_WAIT: nobody, this side, or the peer, if it closed first (it can still skip TIME_WAIT by a
 * reset). `unknown` if the platform does not show the connection, or if the outcome depends on a FIN that is on its way.
 * If both ends close at the same moment, both keep it, which no close can know beforehand.
 */
export type TimeWait = 'avoided' | 'here' | 'peer' | 'unknown'

/** Whose FIN was first, once this side has sent one. */
export type FinOrder = 'ours' | 'theirs'

/** Which sides have sent a FIN. */
export interface Finished {
  readonly peerFinished: boolean
  /** Undefined while this side has sent no FIN. */
  readonly finOrder: FinOrder | undefined
}

/** How close(2) closes: by a FIN, by a FIN with TCP_LINGER2 below 0, or with SO_LINGER at 0 s by a RST. */
export type ClosedBy = 'fin' | 'forgetting' | 'reset'

/** A connection at the moment of close(2). */
export interface ConnectionEnd extends Finished {
  readonly state: TcpState | undefined
  readonly notTcp: boolean
  /** Whether the peer's stream has ended. On TLS, close_notify ends it, and the FIN may follow at any moment. */
  readonly streamEnded: boolean
}

export function timeWaitOf(
  { state, notTcp, finOrder, peerFinished, streamEnded }: ConnectionEnd,
  by: ClosedBy,
): TimeWait {
  if (notTcp) return 'avoided'
  switch (state) {
    case 'SYN_SENT':
      return 'avoided'
    case 'SYN_RECV':
    case 'ESTABLISHED':
      return by === 'fin' ? 'here' : 'avoided'
    case 'FIN_WAIT1':
    case 'FIN_WAIT2':
      if (by === 'fin') return 'here'
      // If the peer's FIN arrives before close(2), the connection is in TIME_WAIT.
      return streamEnded ? 'unknown' : 'avoided'
    case 'CLOSING':
    case 'TIME_WAIT':
      return by === 'reset' ? 'avoided' : 'here'
    case 'CLOSE_WAIT':
      return by === 'reset' ? 'avoided' : 'peer'
    case 'LAST_ACK':
      return 'peer'
    case 'CLOSE':
      // The kernel has already detached the connection from the descriptor. Without both FINs, it was reset.
      if (finOrder === undefined) return 'avoided'
      if (finOrder === 'theirs') return 'peer'
      return peerFinished ? 'here' : 'avoided'
    default:
      return 'unknown'
  }
}

/** Whose FIN is first if this side sends one in this state. */
export function finOrderIn(state: TcpState | undefined): FinOrder | undefined {
  switch (state) {
    case 'CLOSE_WAIT':
    case 'LAST_ACK':
      return 'theirs'
    case 'CLOSE':
      return undefined
    default:
      return 'ours'
  }
}

/**
 * Which sides have finished, at the end of a connection.
 *
 * A FIN can go out unseen: by another wrapper of the handle, or by a copy of the descriptor. In state CLOSE, the order of
 * two FINs cannot be found any more. Ours is taken for the first: a report of a TIME_WAIT entry that does not exist does
 * less harm than a hidden one.
 *
 * @param known whose FIN was first, as far as this library has seen it
 */
export function finishedAtEnd(
  fd: number,
  connection: Pick<ConnectionState, 'state' | 'bytesReceived' | 'bytesAcked' | 'bytesSent'>,
  moved: Transferred,
  known: FinOrder | undefined,
): Finished {
  const peerFinished = known === 'theirs' || hasPeerFinished(fd, connection, moved.read)
  const isUnseen = known === undefined && connection.state === 'CLOSE' && peerFinished
  return { peerFinished, finOrder: isUnseen && hasFinished(connection, moved) ? 'ours' : known }
}

/** Whether the peer has acknowledged our FIN: the kernel counts it as one byte, which is no data. */
function hasFinished(
  { bytesAcked, bytesSent }: Pick<ConnectionState, 'bytesAcked' | 'bytesSent'>,
  { written, syn }: Transferred,
): boolean {
  // After a FIN that left unseen, libuv counts writes that fail, on TLS that of close_notify.
  const data = bytesSent ?? written
  return bytesAcked === undefined || data === undefined || bytesAcked > data + syn
}

/**
 * Whether the peer's FIN has come. State CLOSE does not show it, but the kernel counts a FIN as one received byte, which
 * nobody can read.
 */
function hasPeerFinished(
  fd: number,
  { state, bytesReceived }: Pick<ConnectionState, 'state' | 'bytesReceived'>,
  read: number | undefined,
): boolean {
  const shown = hasReceivedFin(state)
  if (shown !== undefined) return shown
  if (bytesReceived === undefined || read === undefined) return true
  const unread = bytesReceived - read
  // Usually everything has been read, and no system call is needed.
  return unread >= 1 && unread - Math.max(0, native.unreadBytes(fd)) >= 1
}
