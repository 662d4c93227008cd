/** net.ipv4.tcp_tw_reuse: when connect(2) takes a port out of TIME_WAIT (tcp_twsk_unique() of the kernel). */
import { isLoopback } from '../kernel/addresses'
import {
  TIME_WAIT_S,
  timeWaitReuse,
  timeWaitReuseDelay,
  timestampsSetting,
  type ProcReader,
} from '../kernel/proc'

export const TIME_WAIT_MS = 1000 * TIME_WAIT_S
/** Before net.ipv4.tcp_tw_reuse_delay there was this. */
const REUSE_DELAY_MS = 1_000

export interface TimeWaitReuse {
  /** net.ipv4.tcp_tw_reuse: 0 off, 1 on, 2 on loopback only. */
  readonly setting: number
  /**
   * connect() to this destination takes ports out of TIME_WAIT, where the connection before had
   * timestamps: those of this end are on, whether those of the peer were is not known.
   */
  readonly applies: boolean
  /** Age at which an entry may be taken, ms. */
  readonly delayMs: number
}

export interface ReuseFacts {
  readonly setting: number | undefined
  readonly delayMs: number | undefined
  readonly timestamps: number | undefined
}

/** The settings in force. @throws what `read` throws */
export function reuseFacts(read: ProcReader): ReuseFacts {
  return {
    setting: timeWaitReuse(read),
    delayMs: timeWaitReuseDelay(read),
    timestamps: timestampsSetting(read),
  }
}

/** What they mean between two addresses. */
export function reuseBetween(
  { setting = 0, delayMs = REUSE_DELAY_MS, timestamps = 1 }: ReuseFacts,
  localAddress: string,
  remoteAddress: string,
): TimeWaitReuse {
  const loopback = isLoopback(localAddress) || isLoopback(remoteAddress)
  const applies = timestamps !== 0 && (setting === 1 || (setting === 2 && loopback))
  return { setting, applies, delayMs }
}

/** How long a port is gone after a close that leaves TIME_WAIT, ms. */
export function heldMs({ applies, delayMs }: TimeWaitReuse): number {
  return applies ? Math.min(delayMs, TIME_WAIT_MS) : TIME_WAIT_MS
}
