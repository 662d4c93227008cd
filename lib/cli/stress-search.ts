/** The result of a search for the highest rate as text. */
import type { FindRateResult, FindRateRound } from '../stress'
import type { RoundCells } from './stress-progress'
import { percentile } from './stress-report'
import { align, count, counted, wrap } from './text'

/** A round that has ended. */
export function searchCells(round: FindRateRound): RoundCells {
  const { latency } = round.result
  return {
    cells: [
      `round ${String(round.round)}`,
      rateText(round.ratePerSecond),
      `p50 ${percentile(latency, 'p50')}`,
      `p99 ${percentile(latency, 'p99')}`,
      outcome(round),
    ],
    sides: 'lrrrl',
  }
}

/** The rounds as a table, and the answer. */
export function searchReport(result: FindRateResult): string {
  const { condition, ratePerSecond, limit, rounds, ended } = result
  if (rounds.length === 0) return 'No round was complete.\n'
  const answer =
    ratePerSecond === null
      ? `${condition} held at no rate that was tried${ended === 'aborted' ? ', then aborted' : ''}.`
      : `${condition} held at ${rateText(ratePerSecond)}, in ${counted(rounds.length, 'round')}${ended === 'aborted' ? ', then aborted' : ''}.`
  const lines = [
    ...align(
      [['round', 'rate', 'answered', 'p50', 'p99', 'failed', 'unsent', ''], ...rounds.map(cells)],
      'rrrrrrrl',
    ),
    '',
    ...wrap(answer, ''),
    ...(limit === null
      ? ended === 'aborted'
        ? []
        : wrap('No rate failed: begin with a higher --rate, or allow more --rounds.', '')
      : [
          ...wrap(limit.message, `${rateText(limit.ratePerSecond)} did not hold: `),
          ...(limit.cause === 'generator'
            ? wrap('The generator was the limit: the target may be able to serve more.', '')
            : []),
        ]),
  ]
  return `${lines.join('\n')}\n`
}

function cells(round: FindRateRound): string[] {
  const { requests, latency } = round.result
  return [
    String(round.round),
    rateText(round.ratePerSecond),
    rateText(requests.perSecond),
    percentile(latency, 'p50'),
    percentile(latency, 'p99'),
    count(requests.failed),
    count(requests.unsent),
    outcome(round),
  ]
}

function outcome({ failure }: FindRateRound): string {
  return failure === null ? 'holds' : `fails: ${failure.cause}`
}

/** A rate of an open loop. */
export function rateText(rate: number): string {
  return `${rate < 10 ? String(Number(rate.toPrecision(3))) : count(rate)}/s`
}
