/** The cost of a reset: the bytes that it discards. */
import { native } from '../kernel/binding'
import { lingerBytes } from '../options/kinds/linger'
import { connectionState } from '../observe/tcp-info'
import type { TcpState } from '../kernel/tcp-states'
import { announce } from '../warnings'
import { fallback, type Fallback } from './fallback'
import type { Transferred } from './pending'
import {
  finishedAtEnd,
  timeWaitOf,
  type ConnectionEnd,
  type FinOrder,
  type TimeWait,
} from './time-wait'

const ON_AT_ONCE = lingerBytes(true, 0)

/** The outcome of the reset of a connected descriptor. */
export interface ResetCost {
  /** `fin` if close() will send no RST. */
  readonly mode: 'reset' | 'fin'
  /** Why not. */
  readonly fallback?: Fallback
  /** Bytes that were queued and never sent. */
  readonly discardedBytes: number
  /** Bytes that were sent and not acknowledged. */
  readonly inFlightBytes: number
  readonly unreadBytes: number
  readonly timeWait: TimeWait
  readonly wasOver: boolean
  readonly peerFinished: boolean
}

/**
 * Makes close() of a descriptor send a RST (SO_LINGER with 0 s), and counts what that discards. It works even while a
 * shutdown is under way, when libuv refuses its own reset.
 *
 * @param pending further bytes, which had not reached the kernel
 */
export function armReset(
  fd: number,
  pending: number,
  { finOrder: known, streamEnded }: Pick<ConnectionEnd, 'finOrder' | 'streamEnded'>,
  moved: Transferred,
): ResetCost {
  const connection = connectionState(fd)
  const { state, notTcp, timestamps } = connection
  const unreadBytes = Math.max(0, native.unreadBytes(fd))
  if (notTcp) {
    const why = fallback('not-tcp', 'not a TCP socket: there is no reset')
    const nothing = {
      inFlightBytes: 0,
      timeWait: 'avoided',
      wasOver: false,
      peerFinished: false,
    } as const
    return { mode: 'fin', fallback: why, discardedBytes: pending, unreadBytes, ...nothing }
  }
  const error = setResetOnClose(fd)
  // As late as possible, since the kernel goes on sending until close().
  const unsent = native.unsentBytes(fd)
  const queued = native.unacknowledgedBytes(fd)
  // Data that is being retransmitted counts as under way: it may have arrived.
  const { sendable, underWay: inFlightBytes } = withoutFin(state, unsent, queued)
  const discardedBytes = pending + sendable
  warn(discardedBytes, inFlightBytes, state === 'ESTABLISHED' && !timestamps)
  const { peerFinished, finOrder } = finishedAtEnd(fd, connection, moved, known)
  const why = withoutReset(error, state, finOrder)
  const by = error < 0 ? 'fin' : 'reset'
  return {
    mode: why === undefined ? 'reset' : 'fin',
    ...(why === undefined ? {} : { fallback: why }),
    discardedBytes,
    inFlightBytes,
    unreadBytes,
    timeWait: timeWaitOf({ state, notTcp, finOrder, peerFinished, streamEnded }, by),
    wasOver: state === 'CLOSE',
    peerFinished,
  }
}

/** Why close() will send no RST. */
function withoutReset(
  error: number,
  state: TcpState | undefined,
  finOrder: FinOrder | undefined,
): Fallback | undefined {
  if (error < 0) return fallback('refused', `SO_LINGER was refused (errno ${String(-error)})`)
  const isOver = state === 'CLOSE' || state === 'LAST_ACK'
  if (isOver && finOrder !== undefined) {
    return fallback('ended', 'end() had already sent the FIN, and both sides have finished')
  }
  return undefined
}

function warn(discarded: number, inFlight: number, unprotected: boolean): void {
  if (discarded + inFlight > 0) {
    announce(
      'SOCKET_TUNER_RESET_DISCARDS',
      'reset',
      `A reset discarded ${String(discarded)} bytes that had not been sent; ` +
        `${String(inFlight)} bytes that had been sent and not acknowledged may be lost too`,
    )
  }
  if (unprotected) {
    announce(
      'SOCKET_TUNER_RESET_WITHOUT_TIMESTAMPS',
      'reset',
      'Reset a connection without TCP timestamps: a delayed segment of it could enter the next connection on the same ports',
    )
  }
}

/**
 * Splits the send queue into unsent and sent bytes. The FIN counts as one byte, and is unsent while data is. If the
 * platform does not report what was sent (a negative number), everything counts as unsent.
 */
function withoutFin(
  state: TcpState | undefined,
  unsent: number,
  queued: number,
): { sendable: number; underWay: number } {
  const all = Math.max(0, queued)
  const waiting = unsent < 0 ? all : Math.min(unsent, all)
  const hasFin = state === 'FIN_WAIT1' || state === 'CLOSING' || state === 'LAST_ACK'
  const fin = hasFin && all > 0 ? 1 : 0
  return waiting > 0
    ? { sendable: waiting - fin, underWay: all - waiting }
    : { sendable: 0, underWay: all - fin }
}

/** SO_LINGER {1, 0}; 0 or the negated errno. */
export function setResetOnClose(fd: number): number {
  const { SOL_SOCKET, SO_LINGER } = native.constants
  if (SOL_SOCKET === undefined || SO_LINGER === undefined) return 0
  return native.setBytes(fd, SOL_SOCKET, SO_LINGER, ON_AT_ONCE)
}
