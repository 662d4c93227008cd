import type { TcpState } from '../observe/tcp-info'

/**
 * How a connection is closed.
 *
 * - `fin`: a FIN after everything written; TIME_WAIT here when this side closes first. Always right.
 * - `deliver`: the same on the wire, and the kernel forgets the connection when the FIN is
 *   acknowledged: no byte lost, no TIME_WAIT. Linux.
 * - `lingering`: FIN, then input is thrown away until the peer has finished: for an early answer to
 *   a peer that is still sending.
 * - `reset`: a RST; what the peer has not acknowledged is discarded, and counted.
 */
export type CloseMode = 'fin' | 'deliver' | 'lingering' | 'reset'

export const closeModes: readonly CloseMode[] = ['fin', 'deliver', 'lingering', 'reset']

/**
 * Who keeps the 60 s of TIME_WAIT: nobody, this side, the peer (it closed first), or it cannot be
 * told. When both ends close in the same moment both keep it, which no close can know beforehand.
 */
export type TimeWait = 'avoided' | 'here' | 'peer' | 'unknown'

/** What a close did. */
export interface CloseReport {
  /** The mode that was asked for. */
  requested: CloseMode
  /** The mode that was used. */
  mode: CloseMode
  /** Why another mode than the requested one was used, or why the close did not run its course. */
  fallback?: string
  /**
   * Bytes written and thrown away before they were sent: those that had not left JavaScript (or
   * libuv), and for a reset those in the kernel's queue. On TLS the former are counted as written,
   * the latter as encrypted; and a record that arrives in part is lost to the peer whole.
   */
  discardedBytes: number
  /**
   * Bytes that a reset left to chance: sent, not acknowledged yet, and never sent again. On a sound
   * network they arrive before the RST does. 0 in the other modes, which send them again.
   */
  inFlightBytes: number
  /** Bytes received that the program never read. */
  unreadBytes: number
  timeWait: TimeWait
  /** From the call to the moment at which the descriptor was closed, ms. */
  durationMs: number
  /** What the socket emitted as 'error' while it was being closed. */
  error?: Error
}

/** What is known at the moment of close(2). */
export type CloseOutcome = Pick<
  CloseReport,
  'mode' | 'fallback' | 'discardedBytes' | 'unreadBytes' | 'timeWait'
> & {
  inFlightBytes?: number
  /** The connection had ended before: what was lost then, its end had thrown away. */
  wasOver?: boolean
}

/** Who will keep TIME_WAIT when a socket in this state is closed. */
export function timeWaitOf(state: TcpState | undefined, skipped: boolean): TimeWait {
  switch (state) {
    case 'SYN_RECV':
    case 'ESTABLISHED':
    case 'FIN_WAIT1':
    case 'FIN_WAIT2':
      return skipped ? 'avoided' : 'here'
    case 'SYN_SENT':
      return 'avoided'
    case 'CLOSING':
    case 'TIME_WAIT':
      return 'here'
    case 'CLOSE_WAIT':
    case 'LAST_ACK':
      return 'peer'
    default:
      return 'unknown'
  }
}
