/** The result of a comparison as text. */
import type { Estimate, StressComparison, StressTurn, StressWayResult } from '../stress'
import type { RoundCells } from './stress-progress'
import { duration, percentile } from './stress-report'
import { NOT_KNOWN, align, count, counted, wrap } from './text'

/** A turn that has ended. */
export function turnCells({ way, round, result }: StressTurn): RoundCells {
  const { requests, latency, closes } = result
  return {
    cells: [
      `round ${String(round)}`,
      way.padEnd(10),
      `${count(requests.perSecond)}/s`,
      `p50 ${percentile(latency, 'p50')}`,
      `p99 ${percentile(latency, 'p99')}`,
      `${count(requests.failed)} failed`,
      `${count(closes.timeWaitLeft)} TIME_WAIT`,
    ],
    sides: 'llrrrrr',
  }
}

const heading = [
  ['', 'requests', '', '', '', 'processor', 'TIME_WAIT', 'bytes', '', 'valid'],
  ['way', 'per s', 'of the first', 'p50', 'p99', 'per request', 'left', 'lost', 'failed', 'rounds'],
] as const

/** The table, with an explanation. */
export function comparisonReport({ ways, rounds, ended }: StressComparison): string {
  if (rounds === 0) return 'No round was complete.\n'
  const [first] = ways
  const lines = [
    ...align([...heading, ...ways.map((each) => cells(each, rounds))], 'lrrrrrrrrr'),
    '',
    ...wrap(
      `Means of ${counted(rounds, 'round')}${ended === 'aborted' ? ', then aborted' : ''}, each with half of its 95 % confidence interval. Rates are related to those of ${first?.way ?? ''} in the same round. TIME_WAIT, bytes lost and failed are those of all rounds.`,
      '',
    ),
  ]
  return `${lines.join('\n')}\n`
}

function cells(way: StressWayResult, rounds: number): string[] {
  return [
    way.way,
    spread(way.perSecond, count),
    spread(way.rateRatio, (value) => value.toFixed(2)),
    meanOf(way.p50Ms, duration),
    spread(way.p99Ms, duration),
    meanOf(way.cpuMicroseconds, (value) => `${count(value)} µs`),
    count(way.timeWaitLeft),
    count(way.discardedBytes),
    count(way.failed),
    `${String(way.validRounds)} of ${String(rounds)}`,
  ]
}

function spread(estimate: Estimate | null, show: (value: number) => string): string {
  if (estimate === null) return NOT_KNOWN
  const { mean, high } = estimate
  return `${show(mean)} ±${show(high - mean)}`
}

function meanOf(estimate: Estimate | null, show: (value: number) => string): string {
  return estimate === null ? NOT_KNOWN : show(estimate.mean)
}
