/** The report of a comparison. */
import type { Estimate } from '../estimate'
import type { StressComparison, StressWayResult } from '../compare'
import { mergeDistributions } from '../latency-histogram'
import type { StressPhases, StressResult } from '../result'
import { curves, scaleOf, type ChartFigure } from './charts'
import { countText, figure, figureText, type ShownUnit } from './figure-text'
import { html, type Html } from './html'
import { chartSection, moment, type Page } from './page'
import { environment, phases, planOfWays } from './sections'
import { captionOf, errorCells, errorHeads, figureCell, row, scrollable, table } from './table'

export function comparisonPage(comparison: StressComparison): Page {
  const { ways, rounds } = comparison
  const [first] = ways.flatMap(({ results }) => results)
  const names = ways.map(({ way }) => way)
  const title = `Ways to end connections compared: ${names.join(', ')}`
  if (first === undefined)
    return {
      title,
      heading: html`${title}`,
      lead: html`<p>The comparison was aborted. No round was complete.</p>`,
      sections: [],
      charts: [],
      result: comparison,
    }
  const charts = [
    ratesByRound(comparison),
    curves(
      'Latency of all rounds together.',
      first.plan.loop,
      ways.map(({ way, results }) => [
        way,
        mergeDistributions(results.map(({ latency }) => latency)),
      ]),
    ),
    byRound(comparison, {
      id: 'time-wait',
      title: 'TIME_WAIT left',
      caption: 'Entries in TIME_WAIT that the connections of a round left here.',
      unit: 'count',
      of: ({ closes }) => closes.timeWaitLeft,
    }),
  ].filter((each) => each !== undefined)
  return {
    title,
    heading: html`${title}`,
    lead: html`<p>
        ${moment(first.startedAt)}, ${countText(rounds, 'round')} of
        ${figureText(first.seconds, 'ms')} s for each way, against
        <span class="url">${first.target.url}</span>
      </p>
      ${validity(comparison)}`,
    sections: [
      { id: 'summary', title: 'Summary', content: summary(comparison) },
      ...charts.map(chartSection),
      ...ways.map((each) => ({
        id: `phases-${each.way}`,
        title: `Phases: ${each.way}`,
        content: phases(merged(each, first)),
      })),
      { id: 'errors', title: 'Errors', content: errors(ways) },
      {
        id: 'plan',
        title: 'Plan',
        content: html`${planOfWays(first, names)} ${environment(first)}`,
      },
    ],
    charts: charts.map(({ chart }) => chart),
    result: comparison,
  }
}

/** Which rounds the generator limited. */
function validity({ ways, rounds, ended }: StressComparison): Html {
  const aborted =
    ended === 'aborted'
      ? html`<p>The comparison was aborted. The figures are those of the complete rounds.</p>`
      : null
  const limited = ways.filter(({ validRounds }) => validRounds < rounds)
  if (limited.length === 0)
    return html`<div class="verdict valid">
      <p><strong>Valid.</strong> The generator did not limit any round.</p>
      ${aborted}
    </div>`
  return html`<div class="verdict invalid">
    <p>
      <strong>Invalid.</strong> The generator limited some rounds, so their figures are not those of
      the target:
    </p>
    <ul>
      ${limited.map(({ way, validRounds, results }) => {
        const { limits = [] } = results.find(({ valid }) => !valid) ?? {}
        return html`<li>
          <code>${way}</code>: ${rounds - validRounds} of ${countText(rounds, 'round')}, first
          because: ${limits.map(({ message, code }) => html`${message} <code>${code}</code>`)}
        </li>`
      })}
    </ul>
    ${aborted}
  </div>`
}

const estimates: readonly [
  name: string,
  unit: ShownUnit,
  of: (way: StressWayResult) => Estimate | null,
][] = [
  ['requests per s', 'perSecond', ({ perSecond }) => perSecond],
  ['rate of the first', 'ratio', ({ rateRatio }) => rateRatio],
  ['p50, ms', 'ms', ({ p50Ms }) => p50Ms],
  ['p99, ms', 'ms', ({ p99Ms }) => p99Ms],
  ['processor time per request, µs', 'perSecond', ({ cpuMicroseconds }) => cpuMicroseconds],
]

const totals: readonly [name: string, of: (way: StressWayResult) => number][] = [
  ['TIME_WAIT left', ({ timeWaitLeft }) => timeWaitLeft],
  ['bytes lost', ({ discardedBytes }) => discardedBytes],
  ['failed', ({ failed }) => failed],
  ['answered', ({ answered }) => answered],
  ['valid rounds', ({ validRounds }) => validRounds],
]

function summary({ ways, rounds }: StressComparison): Html {
  return html`<p>
      Means of ${countText(rounds, 'round')} with their 95 % confidence intervals. Rates are related
      to those of <code>${ways[0]?.way}</code> in the same round. The columns from TIME_WAIT on are
      those of all rounds together.
    </p>
    ${scrollable('Summary', tableOfWays(ways))}`
}

function tableOfWays(ways: readonly StressWayResult[]): Html {
  return table(
    'The ways, in their order',
    ['way', ...[...estimates, ...totals].map(([name]) => name)],
    ways.map((each) =>
      row(html`<code>${each.way}</code>`, [
        ...estimates.map(([, unit, of]) => html`<td>${interval(of(each), unit)}</td>`),
        ...totals.map(([, of]) => figureCell(of(each), 'count')),
      ]),
    ),
  )
}

function interval(estimate: Estimate | null, unit: ShownUnit): Html {
  if (estimate === null) return figure(null, unit)
  const { mean, low, high } = estimate
  return html`${figure(mean, unit)}<small>${figure(low, unit)} to ${figure(high, unit)}</small>`
}

interface ByRound {
  readonly id: string
  readonly title: string
  readonly caption: string
  readonly unit: ShownUnit
  readonly of: (result: StressResult) => number
}

function ratesByRound(comparison: StressComparison): ChartFigure {
  return byRound(comparison, {
    id: 'rate',
    title: 'Rate',
    caption: 'Requests that were answered per second, in each round.',
    unit: 'perSecond',
    of: ({ requests }) => requests.perSecond,
  })
}

/** A line for each way. */
function byRound(
  { ways, rounds }: StressComparison,
  { id, title, caption, unit, of }: ByRound,
): ChartFigure {
  const numbers = Array.from({ length: rounds }, (_, at) => at + 1)
  const lines = ways.map(({ way, results }) => ({ name: way, values: results.map(of) }))
  return {
    chart: {
      id,
      title,
      unit,
      scale: scaleOf(lines, unit),
      x: { kind: 'rounds', values: numbers },
      shaded: [],
      lines,
    },
    caption,
    table: table(
      captionOf(title, unit),
      ['round', ...lines.map(({ name }) => name)],
      numbers.map((round, at) =>
        row(
          round,
          lines.map(({ values }) => figureCell(values[at] ?? null, unit)),
        ),
      ),
    ),
  }
}

/** The latencies of all rounds of a way. */
function merged(
  { results }: StressWayResult,
  { plan, phases: all }: StressResult,
): Pick<StressResult, 'latency' | 'phases' | 'plan'> {
  return {
    plan,
    latency: mergeDistributions(results.map(({ latency }) => latency)),
    phases: Object.fromEntries(
      Object.keys(all).map((phase) => [
        phase,
        mergeDistributions(results.map((result) => result.phases[phase as keyof StressPhases])),
      ]),
    ) as unknown as StressPhases,
  }
}

function errors(ways: readonly StressWayResult[]): Html {
  const rows = ways.flatMap(({ way, results }) =>
    results.flatMap(({ errors: all }, at) =>
      all.map((error) => ({ way, round: at + 1, ...error })),
    ),
  )
  if (rows.length === 0) return html`<p>No errors.</p>`
  return scrollable(
    'Errors',
    table(
      'Errors by cause',
      ['way', 'round', 'code', ...errorHeads],
      rows.map((error) =>
        row(html`<code>${error.way}</code>`, [
          html`<td>${error.round}</td>`,
          html`<td class="word"><code>${error.code}</code></td>`,
          ...errorCells(error),
        ]),
      ),
    ),
  )
}
