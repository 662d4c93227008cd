/** The reports of a watch. */
import type { PortBudget } from './budget'

/**
 * `used`: the share of used ports has reached the limit of `warnAt`. `exhaustion`: the ports run out within the
 * time of `warnAt`. `slow-connect`: connect() has become slow.
 */
export type PortTrouble = 'used' | 'exhaustion' | 'slow-connect'

/** The report on one address of a destination. `rate` is that of the last 10 s. */
export interface PortReport extends PortBudget {
  /** The time of the reading, ms since the epoch. */
  readonly time: number
  /** Calls of connect() to the destination in this thread since the previous reading. */
  readonly connects: number
  /** The median and the longest time that these calls held the event loop, µs; undefined without calls. */
  readonly connectMicroseconds: number | undefined
  readonly slowestConnectMicroseconds: number | undefined
  /**
   * The current cost of connect() for any program in this network namespace, µs, measured by a connect() that
   * sends nothing. Undefined if that is not possible (net.ipv4.tcp_fastopen without bit 1), if no port is left,
   * and if the probe would reuse a port in TIME_WAIT (tcp_tw_reuse).
   */
  readonly probeMicroseconds: number | undefined
  readonly troubles: readonly PortTrouble[]
}
