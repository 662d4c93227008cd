/** The parts of a run: what one process measured, as it is merged with the others. */
import type { LatencyDistribution } from './latency-histogram'
import type { StressKernel, StressResult, StressSnapshot } from './result'

/** One of some parts that have a run in common, each with an equal share of its load. */
export interface Share {
  /** From 0. */
  readonly index: number
  readonly count: number
}

/** The share of a run that has one part only. */
export const WHOLE_RUN: Share = Object.freeze({ index: 0, count: 1 })

/** The measurements that a process took of its own connections. The result of a run is one too. */
export interface Part extends Pick<
  StressResult,
  | 'ended'
  | 'seconds'
  | 'requests'
  | 'connections'
  | 'latency'
  | 'phases'
  | 'errors'
  | 'closes'
  | 'generator'
> {
  readonly kernel: Pick<
    StressKernel,
    'minRttMs' | 'sampledRetransmits' | 'sampledConnections' | 'portWaits'
  >
}

/** The figures of a snapshot that belong to the network namespace and not to a process. */
export type PortFigures = Pick<StressSnapshot, 'timeWait' | 'portsFree' | 'secondsUntilExhaustion'>

/** A snapshot of one process. */
export interface PartSnapshot extends Omit<StressSnapshot, keyof PortFigures> {
  /** The distribution behind `latencyMs`; undefined if only the percentiles are known. */
  readonly latency?: LatencyDistribution
}
