/** What a watch tells of a destination at each look. */
import type { PortBudget } from './budget'

/**
 * What is wrong: `used`, more of the ports are taken than was to be; `exhaustion`, they will not last
 * as long as they were to; `slow-connect`, connect() has become slow.
 */
export type PortTrouble = 'used' | 'exhaustion' | 'slow-connect'

/** A destination at one look. `rate` is that of the last 10 s. */
export interface PortReport extends PortBudget {
  /** When it was, ms since the epoch. */
  readonly time: number
  /** Calls of connect() to the destination in this thread since the look before. */
  readonly connects: number
  /** What half of them took no longer than on the event loop, and the slowest: µs; undefined without any. */
  readonly connectMicroseconds: number | undefined
  readonly slowestConnectMicroseconds: number | undefined
  /**
   * What connect() costs any program of this network namespace at the moment, µs: measured by one
   * that sends nothing. Undefined where it cannot be (net.ipv4.tcp_fastopen without 1), without a
   * port, and where it would take one out of TIME_WAIT (tcp_tw_reuse).
   */
  readonly probeMicroseconds: number | undefined
  readonly troubles: readonly PortTrouble[]
}
