/** The charts of a report, each with the table of its values. */
import { LatencyHistogram, percentileNames, type LatencyDistribution } from '../latency-histogram'
import type { StressResult, StressSnapshot } from '../result'
import { figureText, type ShownUnit } from './figure-text'
import { html, type Html } from './html'
import type { Points } from './series'
import { captionOf, figureCell, row, table } from './table'

/** One line of a chart. */
export interface Line {
  readonly name: string
  readonly values: readonly (number | null)[]
}

/** A chart as the script of the page takes it. */
export interface Chart {
  readonly id: string
  readonly title: string
  readonly unit: ShownUnit
  readonly scale: 'linear' | 'log'
  /** `nines`: 1 stands for 90 %, 2 for 99 %, and so on. */
  readonly x: { readonly kind: 'seconds' | 'nines' | 'rounds'; readonly values: readonly number[] }
  /** Seconds in which the run did not measure. */
  readonly shaded: readonly (readonly [from: number, to: number])[]
  readonly lines: readonly Line[]
}

/** A chart with its caption and its table. */
export interface ChartFigure {
  readonly chart: Chart
  readonly caption: string
  readonly table: Html
}

interface Column {
  readonly name: string
  readonly unit: ShownUnit
  readonly of: (snapshot: StressSnapshot) => number | null
}

/** Lines of very different heights are legible on a logarithmic scale only. */
const LOG_FROM = 30
/**
 * An interval that is shorter than this share of the longest one has no rate: a few answers within a few milliseconds
 * after the measured time would be its peak.
 */
const SHORTEST_SHARE = 0.1
/** Points of a percentile curve for each nine. */
const POINTS_PER_NINE = 24

/** The charts over time that have data, in the order of the page. */
export function timeCharts(points: Points, result: StressResult): ChartFigure[] {
  const { plan } = result
  const shortestMs = SHORTEST_SHARE * largest(points.snapshots.map(({ intervalMs }) => intervalMs))
  const perSecond = (name: string, of: (snapshot: StressSnapshot) => number): Column => ({
    name,
    unit: 'perSecond',
    of: (snapshot) =>
      snapshot.intervalMs > shortestMs ? (1_000 * of(snapshot)) / snapshot.intervalMs : null,
  })
  const latency = (name: keyof StressSnapshot['latencyMs']): Column => ({
    name,
    unit: 'ms',
    // Without answers it has no latency, and not one of 0 ms.
    of: ({ answered, latencyMs }) => (answered > 0 ? latencyMs[name] : null),
  })
  const planned = (rate: number): Column => ({
    name: 'plan',
    unit: 'perSecond',
    of: ({ stage }) => (stage === 'drain' ? null : rate),
  })
  const waits: Column[] =
    plan.loop === 'open' ? [{ name: 'waiting', unit: 'count', of: ({ waiting }) => waiting }] : []
  const { ratePerSecond } = plan
  const charts: (ChartFigure | undefined)[] = [
    chartOverTime(points, result, {
      id: 'rate',
      title: 'Rate',
      caption: `Requests that were answered and that failed, and connections that were opened, per second.${ratePerSecond === null ? '' : ' The plan is the rate of the open loop.'}`,
      columns: [
        perSecond('answered', ({ answered }) => answered),
        perSecond('failed', ({ failed }) => failed),
        perSecond('connections opened', ({ connectionsOpened }) => connectionsOpened),
        ...(ratePerSecond === null ? [] : [planned(ratePerSecond)]),
      ],
    }),
    chartOverTime(points, result, {
      id: 'latency',
      title: 'Latency over time',
      caption: `Percentiles of the requests that were answered in each interval. ${latencyNote(plan.loop)}`,
      columns: (['p50', 'p90', 'p99', 'p99.9', 'max'] as const).map(latency),
    }),
    chartOverTime(points, result, {
      id: 'ports',
      title: 'TIME_WAIT and ports',
      caption: 'Entries in TIME_WAIT towards the target, and ports from which it can be reached.',
      columns: [
        { name: 'TIME_WAIT', unit: 'count', of: ({ timeWait }) => timeWait },
        { name: 'free ports', unit: 'count', of: ({ portsFree }) => portsFree },
      ],
    }),
    chartOverTime(points, result, {
      id: 'connections',
      title: 'Connections',
      caption:
        plan.loop === 'open'
          ? 'Connections that are open, and requests that are due and wait for a connection.'
          : 'Connections that are open.',
      columns: [
        { name: 'open', unit: 'count', of: ({ connectionsOpen }) => connectionsOpen },
        ...waits,
      ],
    }),
    chartOverTime(points, result, {
      id: 'event-loop',
      title: 'Event loop of the generator',
      caption:
        plan.loop === 'open'
          ? 'The share of the time in which it was busy. An open loop spends its spare time in turns of the event loop, so this may be high.'
          : 'The share of the time in which it was busy. Near 100 %, the generator is the limit.',
      columns: [{ name: 'busy', unit: 'share', of: ({ eventLoopBusy }) => eventLoopBusy }],
    }),
  ]
  return charts.filter((chart) => chart !== undefined)
}

/** Names the moment from which a latency counts. */
export function latencyNote(loop: 'closed' | 'open'): string {
  return loop === 'open'
    ? 'Latency counts from the intended start of a request.'
    : 'In a closed loop, requests that a slow target kept from being sent appear in no latency.'
}

interface OverTime {
  readonly id: string
  readonly title: string
  readonly caption: string
  readonly columns: readonly Column[]
}

/** Undefined without data. */
function chartOverTime(
  { snapshots, each }: Points,
  result: StressResult,
  { id, title, caption, columns }: OverTime,
): ChartFigure | undefined {
  const lines = columns.map(({ name, of }) => ({ name, values: snapshots.map(of) }))
  if (lines.every(({ values }) => values.every((value) => value === null))) return undefined
  const unit = columns[0]?.unit ?? 'count'
  const seconds = snapshots.map(({ second }) => second)
  const isPlain = snapshots.every(({ stage }) => stage === 'measure')
  const shaded = shadedIn(result, seconds.at(-1) ?? 0)
  const values = table(
    captionOf(title, unit),
    ['second', ...(isPlain ? [] : ['stage']), ...columns.map(({ name }) => name)],
    snapshots.map((snapshot) =>
      row(figureText(snapshot.second, 'ms'), [
        ...(isPlain ? [] : [html`<td class="word">${snapshot.stage}</td>`]),
        ...columns.map(({ of }) => figureCell(of(snapshot), unit)),
      ]),
    ),
  )
  return {
    chart: {
      id,
      title,
      unit,
      scale: scaleOf(lines, unit),
      x: { kind: 'seconds', values: seconds },
      shaded,
      lines,
    },
    caption: [
      caption,
      ...(shaded.length === 0 ? [] : ['Shaded: the warm-up, and the wait for the last answers.']),
      ...(each === 1
        ? []
        : [
            `Each point covers ${String(each)} snapshots: counts are added up, and all other values are the worst of them.`,
          ]),
    ].join(' '),
    table: values,
  }
}

export function scaleOf(lines: readonly Line[], unit: ShownUnit): 'linear' | 'log' {
  if (unit !== 'ms') return 'linear'
  const values = lines.flatMap((line) => line.values.filter((value) => value !== null))
  const least = smallest(values)
  return least > 0 && largest(values) / least >= LOG_FROM ? 'log' : 'linear'
}

// Math.min(...values) has a limit of arguments.
function smallest(values: readonly number[]): number {
  return values.reduce((least, value) => Math.min(least, value), Infinity)
}

function largest(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), -Infinity)
}

/** The warm-up and the wait for the last answers. */
function shadedIn({ plan, seconds }: StressResult, end: number): [from: number, to: number][] {
  const begun = plan.warmupMs / 1_000
  const ranges: [from: number, to: number][] = [
    [0, Math.min(begun, end)],
    [begun + seconds, end],
  ]
  return ranges.filter(([from, to]) => to > from)
}

/** The percentile curve of a run, beside that of its baseline; undefined without answers. */
export function percentileChart({
  latency,
  phases,
  plan,
  baseline,
}: StressResult): ChartFigure | undefined {
  const { loop } = plan
  // In a closed loop the service time is the same.
  const isOpen = loop === 'open'
  const notes = [
    ...(isOpen
      ? ['Service time counts from the moment at which a request got its connection.']
      : []),
    ...(baseline === undefined ? [] : ['The baseline is the latency of the earlier run.']),
  ]
  return curves(notes.join(' '), loop, [
    ['latency', latency],
    ...(isOpen ? [['service time', phases.service] as const] : []),
    ...(baseline === undefined ? [] : [['baseline', baseline.latency] as const]),
  ])
}

/** A percentile curve for each distribution; undefined without answers. */
export function curves(
  note: string,
  loop: 'closed' | 'open',
  all: readonly (readonly [name: string, distribution: LatencyDistribution])[],
): ChartFigure | undefined {
  const most = largest(all.map(([, { count }]) => count))
  if (most === 0) return undefined
  const nines = Array.from(
    { length: Math.ceil(Math.log10(most) * POINTS_PER_NINE) + 1 },
    (_, at) => at / POINTS_PER_NINE,
  )
  const lines = all.map(([name, distribution]) => ({
    name,
    values: curveOf(distribution, nines),
  }))
  const rows: [head: string, of: (distribution: LatencyDistribution) => number][] = [
    ['min', ({ minMs }) => minMs],
    ...percentileNames.map((name): [string, (distribution: LatencyDistribution) => number] => [
      name,
      ({ percentilesMs }) => percentilesMs[name],
    ]),
    ['max', ({ maxMs }) => maxMs],
  ]
  return {
    chart: {
      id: 'percentiles',
      title: 'Latency by percentile',
      unit: 'ms',
      scale: scaleOf(lines, 'ms'),
      x: { kind: 'nines', values: nines },
      shaded: [],
      lines,
    },
    caption: ['The latency that a share of the answers did not exceed.', latencyNote(loop), note]
      .join(' ')
      .trim(),
    table: table(
      captionOf('Latency by percentile', 'ms'),
      ['percentile', ...all.map(([name]) => name)],
      rows.map(([head, of]) =>
        row(
          head,
          all.map(([, distribution]) => figureCell(of(distribution), 'ms')),
        ),
      ),
    ),
  }
}

function curveOf(
  distribution: LatencyDistribution,
  nines: readonly number[],
): readonly (number | null)[] {
  const { count } = distribution
  const histogram = new LatencyHistogram()
  histogram.add(distribution)
  return nines.map((each) => {
    if (count === 0) return null
    return histogram.percentileMs(100 * (1 - 10 ** -each))
  })
}
