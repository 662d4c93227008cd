/** Who keeps TIME_WAIT: no other file decides it. */
import { native } from '../kernel/binding'
import type { ConnectionState } from '../observe/tcp-info'
import type { TcpState } from '../kernel/tcp-states'

/**
 * Who keeps the 60 s of TIME_WAIT: nobody, this side, or the peer, which closed first (a peer can
 * still skip it by a reset of its own). `unknown` where the platform does not show the connection.
 * When both ends close at the same moment both keep it, which no close can know beforehand.
 */
export type TimeWait = 'avoided' | 'here' | 'peer' | 'unknown'

/** Whose FIN was first, once this side has sent one. */
export type FinOrder = 'ours' | 'theirs'

/** What close(2) sends: a FIN; a FIN with TCP_LINGER2 below 0; or, with SO_LINGER at 0 s, a RST. */
export type ClosedBy = 'fin' | 'forgetting' | 'reset'

/** A connection at the moment of close(2). */
export interface ConnectionEnd {
  readonly state: TcpState | undefined
  readonly notTcp: boolean
  /** Undefined while this side has sent no FIN. */
  readonly finOrder: FinOrder | undefined
  /** Whether the peer's FIN has come. Only needed in state CLOSE. */
  readonly peerFinished: boolean
  /** Whether its stream has ended, which on TLS it does by close_notify: its FIN may come at any moment. */
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
      // Should the peer's FIN be quicker than close(2), the connection is in TIME_WAIT.
      return streamEnded ? 'unknown' : 'avoided'
    case 'CLOSING':
    case 'TIME_WAIT':
      return by === 'reset' ? 'avoided' : 'here'
    case 'CLOSE_WAIT':
      return by === 'reset' ? 'avoided' : 'peer'
    case 'LAST_ACK':
      return 'peer'
    case 'CLOSE':
      // The kernel has taken the connection from the descriptor already. Without both FINs it was reset.
      if (finOrder === undefined) return 'avoided'
      if (finOrder === 'theirs') return 'peer'
      return peerFinished ? 'here' : 'avoided'
    default:
      return 'unknown'
  }
}

/** Whose FIN comes first when this side sends one in this state. */
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
 * Whether the peer's FIN has come: the kernel counts it as one received byte, which nobody can read.
 *
 * @param read bytes that were read from the descriptor, or thrown away
 */
export function hasPeerFinished(
  fd: number,
  { bytesReceived }: Pick<ConnectionState, 'bytesReceived'>,
  read: number | undefined,
): boolean {
  // Better a TIME_WAIT entry reported in vain than one that is hidden.
  if (bytesReceived === undefined || read === undefined) return true
  const unread = bytesReceived - read
  // Mostly all is read, and nothing has to be asked of the kernel.
  return unread >= 1 && unread - Math.max(0, native.unreadBytes(fd)) >= 1
}
