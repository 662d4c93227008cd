/** net.ipv4.tcp_tw_reuse: when connect(2) reuses a port in TIME_WAIT (tcp_twsk_unique() of the kernel). */
import { isLoopback } from '../kernel/addresses'
import {
  TIME_WAIT_S,
  timeWaitReuse,
  timeWaitReuseDelay,
  timestampsSetting,
  type ProcReader,
} from '../kernel/proc'

export const TIME_WAIT_MS = 1000 * TIME_WAIT_S
/** The delay of kernels without net.ipv4.tcp_tw_reuse_delay. */
const REUSE_DELAY_MS = 1_000

export interface TimeWaitReuse {
  /** net.ipv4.tcp_tw_reuse: 0 off, 1 on, 2 on loopback only. */
  readonly setting: number
  /**
   * Whether connect() to this destination reuses ports in TIME_WAIT. It needs timestamps on both ends of the old
   * connection; only the setting of this end is known here.
   */
  readonly applies: boolean
  /** The age at which a port may be reused, ms. */
  readonly delayMs: number
}

interface ReuseFacts {
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

/** The effect of the settings between two addresses. */
export function reuseBetween(
  { setting = 0, delayMs = REUSE_DELAY_MS, timestamps = 1 }: ReuseFacts,
  localAddress: string,
  remoteAddress: string,
): TimeWaitReuse {
  const loopback = isLoopback(localAddress) || isLoopback(remoteAddress)
  const applies = timestamps !== 0 && (setting === 1 || (setting === 2 && loopback))
  return { setting, applies, delayMs }
}

/** Milliseconds for which a port is occupied after a close that leaves TIME_WAIT. */
export function heldMs({ applies, delayMs }: TimeWaitReuse): number {
  return applies ? Math.min(delayMs, TIME_WAIT_MS) : TIME_WAIT_MS
}
