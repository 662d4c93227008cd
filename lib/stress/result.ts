/** The result of a run and its snapshots. docs/stress.md describes their JSON. */
import type { CloseTotals } from '../close/tally'
import type { LatencyDistribution } from './latency-histogram'

/** Changes when a field is removed or changes its meaning. New fields do not change it. */
export const SCHEMA_VERSION = 1

export type StressProtocol = 'http' | 'https' | 'tcp' | 'tls'

export interface StressTargetInfo {
  /** As the caller wrote it. */
  readonly url: string
  readonly protocol: StressProtocol
  readonly host: string
  /** The address of the host. It is looked up once, before the run. */
  readonly address: string
  readonly port: number
}

/** The plan of a run. Null stands for a limit that was not set. */
export interface StressPlan {
  /**
   * `closed`: each connection sends its next request when it has the answer, so a slow target lowers the load.
   * `open`: requests start at times that do not depend on the target.
   */
  readonly loop: 'closed' | 'open'
  readonly connections: number
  /** Requests per second of an open loop. */
  readonly ratePerSecond: number | null
  readonly arrivals: 'constant' | 'poisson' | null
  /** The most connections that may be opened per second. */
  readonly connectionsPerSecond: number | null
  /** Null: as many as the run has. */
  readonly requestsPerConnection: number | null
  /** A close mode, or `server`. */
  readonly close: string
  readonly durationMs: number | null
  readonly amount: number | null
  readonly warmupMs: number
  readonly timeoutMs: number
  /** The source addresses; empty if the kernel chooses. */
  readonly sources: readonly string[]
  /** The processes that shared the load. */
  readonly workers: number
}

/**
 * Why the generator, and not the target, limited the run:
 *
 * - `event-loop`: the event loop of the generator was busy nearly all the time.
 * - `late-sends`: requests started later than planned, because of the generator.
 * - `unsent`: requests of the open loop found no free connection until the end.
 * - `ports`: no ephemeral port was free.
 * - `descriptors`: no descriptor was free.
 * - `sources`: a source address was not of this host any more.
 * - `slow-connect`: connect() searched for ports, on the event loop.
 * - `worker`: a worker ended before the run did.
 * - `apart`: the runs that were merged did not take place at the same time.
 */
export type StressLimitCode =
  | 'event-loop'
  | 'late-sends'
  | 'unsent'
  | 'ports'
  | 'descriptors'
  | 'sources'
  | 'slow-connect'
  | 'worker'
  | 'apart'

export interface StressLimit {
  readonly code: StressLimitCode
  /** What happened, in figures, and the fix. */
  readonly message: string
}

/** The parts of a connection's life in which an error can occur. */
export type StressPhase = 'connect' | 'tls' | 'answer' | 'close'

/** Errors of one cause. */
export interface StressError {
  /**
   * The errno name, a code of Node's TLS, or: `CONNECT_TIMEOUT`, `ANSWER_TIMEOUT` and `CLOSE_TIMEOUT` (after
   * `timeoutMs`), `SOURCE_UNAVAILABLE` (a source is no address of this host any more), `CLOSED_EARLY` (the connection ended before the answer was complete), `WRONG_PROTOCOL` (an https
   * target chose another version of HTTP), `BAD_ANSWER` (no HTTP/1.1, or not what `expect` names).
   */
  readonly code: string
  readonly phase: StressPhase
  readonly count: number
  /** The message of the first one. */
  readonly message: string
}

/** The durations of the parts of a request and of its connection, in the order in which they occur. */
export interface StressPhases {
  /** From the intended start of a request to the moment at which it got a connection or began to open one. */
  readonly queue: LatencyDistribution
  /** The wait for a free port (`portWaitMs`), of the connections that had to wait. */
  readonly portWait: LatencyDistribution
  /** The call of connect(2), which blocks the event loop. */
  readonly connectCall: LatencyDistribution
  /** From the request for a connection to the connection, without `portWait`, and without those of `handshakeRetried`. */
  readonly handshake: LatencyDistribution
  /** The same for connections whose SYN was sent again. Counted on Linux. */
  readonly handshakeRetried: LatencyDistribution
  readonly tls: LatencyDistribution
  /** From the write of the request to the first byte of its answer. */
  readonly firstByte: LatencyDistribution
  /** From the moment at which a request got its connection or began to open one, to the end of its answer. */
  readonly service: LatencyDistribution
  /** From the call that closes a connection to its end for the program. */
  readonly close: LatencyDistribution
}

export interface StressRequests {
  /** Requests of the open loop whose start was due; those that began in a closed loop. */
  readonly planned: number
  readonly answered: number
  readonly failed: number
  /** Requests of the open loop that were due and got no connection before the run ended. */
  readonly unsent: number
  /** Cut off because the run was aborted. */
  readonly aborted: number
  /** Requests that were answered within `seconds`, per second. */
  readonly perSecond: number
  readonly bytesReceived: number
  /** Answers by HTTP status. Empty for raw TCP. */
  readonly byStatus: Readonly<Record<string, number>>
}

export interface StressConnections {
  readonly opened: number
  readonly failed: number
  readonly perSecond: number
  /** The most connections that were open at the same time. With several workers, the sum of theirs. */
  readonly mostOpen: number
  /** Connections that the target ended between two requests. */
  readonly endedByTarget: number
}

/** The closes of a run. */
export interface StressCloses extends CloseTotals {
  /**
   * Closes that were not complete when the run ended, and are in no other count: those of `lingering` wait for the
   * target to finish. The run waits for them for up to `timeoutMs`, or not at all if it is aborted.
   */
  readonly underWay: number
}

/** The counts of the kernel. Null stands for a figure that cannot be read here: the figures need Linux. */
export interface StressKernel {
  /** Changes of the counters of this network namespace, those of other programs included. */
  readonly counters: Readonly<Record<StressCounter, number | null>>
  /** The smallest round-trip time of the connections that were sampled, ms. */
  readonly minRttMs: number | null
  /** Segments that were sent again, on the sampled connections. */
  readonly sampledRetransmits: number
  readonly sampledConnections: number
  /** Entries in TIME_WAIT towards the target, before and after the run. */
  readonly timeWaitBefore: number | null
  readonly timeWaitAfter: number | null
  /** Connections that could be opened to the target, before and after the run. */
  readonly portsBefore: number | null
  readonly portsAfter: number | null
  /** Connections that waited for a port. */
  readonly portWaits: number
}

/** Counters of proc_pid_net(5), snmp and netstat. */
export const stressCounters = [
  'RetransSegs',
  'OutRsts',
  'EstabResets',
  'AttemptFails',
  'TCPSynRetrans',
  'TCPTimeouts',
  'TW',
  'TWRecycled',
  'ListenOverflows',
  'ListenDrops',
  'TCPAbortOnData',
  'TCPAbortOnLinger',
] as const

export type StressCounter = (typeof stressCounters)[number]

/**
 * The measurements that the generator took of itself during the measured time. With several workers, they have the worst
 * event loop, the sum of the processor time, and the lag of all requests.
 */
export interface StressGenerator {
  /** The share of the time in which the event loop was busy, 0 to 1. */
  readonly eventLoopBusy: number
  /** Delays of the event loop by other work than the run's own timers: mean, 99th percentile, longest, ms. */
  readonly eventLoopDelayMs: { readonly mean: number; readonly p99: number; readonly max: number }
  /** Processor time per second of the run, s: 1 is a whole processor. */
  readonly userCpu: number
  readonly systemCpu: number
  /** How late requests of the open loop were started by the generator. No samples in a closed loop. */
  readonly lag: LatencyDistribution
}

/** One of the processes that shared the load. */
export interface StressWorker {
  /** `worker 1` and so on; in a result that was merged `run 1`, or `run 1, worker 1`. */
  readonly name: string
  readonly answered: number
  /** Requests that were answered within its `seconds`, per second. */
  readonly perSecond: number
  readonly generator: StressGenerator
}

/**
 * The state of a run at one moment. Counts are those of the interval since the previous snapshot. An interval ends where
 * its stage ends, so it may be shorter than `snapshotMs`.
 */
export interface StressSnapshot {
  /** Seconds since the start of the run, warm-up included. */
  readonly second: number
  /** That of the whole interval. `drain`: the measured time is over, and the last answers are waited for. */
  readonly stage: 'warm-up' | 'measure' | 'drain'
  readonly intervalMs: number
  readonly answered: number
  readonly failed: number
  readonly connectionsOpened: number
  /** Connections that are open now. */
  readonly connectionsOpen: number
  /** Requests that wait for a connection now: those of the open loop, and those that wait for `connectionsPerSecond`. */
  readonly waiting: number
  /** Latency of the requests that were answered in the interval, ms. */
  readonly latencyMs: {
    readonly p50: number
    readonly p90: number
    readonly p99: number
    readonly 'p99.9': number
    readonly max: number
  }
  /** The present state of the ports towards the target; null if it cannot be read here, or was not read yet. */
  readonly timeWait: number | null
  readonly portsFree: number | null
  readonly secondsUntilExhaustion: number | null
  readonly eventLoopBusy: number
}

/** A figure of a run beside that of an earlier one. Null stands for a figure that is not known. */
export interface StressBaselineFigure {
  /** As in a condition: `rate` (per second), `p50`, `p99`, `p99.9` (ms), `failed-share` (%), `time-wait-left` (entries). */
  readonly name: string
  readonly before: number | null
  readonly now: number | null
  /** `now` over `before`; 1 if both are 0, and null if only `before` is. */
  readonly ratio: number | null
}

/** The figures of a run beside those of an earlier one. */
export interface StressBaseline {
  /** When the earlier run started, ISO 8601. */
  readonly startedAt: string
  /** Whether the earlier run is valid. */
  readonly valid: boolean
  readonly figures: readonly StressBaselineFigure[]
  /** The latency of the earlier run. */
  readonly latency: LatencyDistribution
}

/** The result of a run. All its fields survive JSON. */
export interface StressResult {
  readonly schemaVersion: typeof SCHEMA_VERSION
  /** ISO 8601. */
  readonly startedAt: string
  readonly environment: {
    readonly node: string
    readonly platform: string
    readonly release: string
    readonly processors: number
  }
  readonly target: StressTargetInfo
  readonly plan: StressPlan
  readonly ended: 'duration' | 'amount' | 'aborted'
  /** The measured time, s: without the warm-up, and without the wait for the last answers. */
  readonly seconds: number
  /** Whether the generator did not limit the run: `limits` is empty. */
  readonly valid: boolean
  readonly limits: readonly StressLimit[]
  readonly requests: StressRequests
  readonly connections: StressConnections
  /**
   * In an open loop from the intended start of the request to the end of its answer. In a closed loop the same as
   * `phases.service`, with the wait for `connectionsPerSecond` before it: requests that a slow target kept from being
   * sent are not in it.
   */
  readonly latency: LatencyDistribution
  readonly phases: StressPhases
  /** The most frequent ones first. */
  readonly errors: readonly StressError[]
  /** All closes of the run, its warm-up included, by mode as they happened. */
  readonly closes: StressCloses
  readonly kernel: StressKernel
  readonly generator: StressGenerator
  /** The workers, or the runs that were merged. Empty if one process made the run. A worker that was lost is absent. */
  readonly workers: readonly StressWorker[]
  /** All snapshots, the oldest first. */
  readonly series: readonly StressSnapshot[]
  /** The comparison with an earlier run, in the results of `socket-tuner stress --baseline`. */
  readonly baseline?: StressBaseline
}
