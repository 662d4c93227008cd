/** The figures of a result that conditions and baselines name. */
import { percentileNames, type LatencyDistribution, type Percentiles } from './latency-histogram'
import type { StressResult } from './result'

/** `percent` is from 0 to 100. */
export type FigureUnit = 'ms' | 'count' | 'perSecond' | 'percent'

export interface Figure {
  readonly unit: FigureUnit
  /** Null where it is not known. */
  readonly of: (result: StressResult) => number | null
}

const latencies = Object.fromEntries(
  percentileNames.map((name): [string, Figure] => [
    name,
    latencyFigure(({ percentilesMs }) => percentilesMs[name]),
  ]),
) as Record<keyof Percentiles, Figure>

export const figures = {
  ...latencies,
  mean: latencyFigure(({ meanMs }) => meanMs),
  max: latencyFigure(({ maxMs }) => maxMs),
  rate: { unit: 'perSecond', of: ({ requests }) => requests.perSecond },
  failed: { unit: 'count', of: ({ requests: { failed, unsent } }) => failed + unsent },
  'failed-share': {
    unit: 'percent',
    of: ({ requests: { failed, unsent, planned } }) =>
      planned === 0 ? 0 : (100 * (failed + unsent)) / planned,
  },
  'not-2xx': {
    unit: 'count',
    of: ({ requests: { byStatus } }) =>
      Object.entries(byStatus)
        .filter(([status]) => !status.startsWith('2'))
        .reduce((sum, [, count]) => sum + count, 0),
  },
  'time-wait': { unit: 'count', of: ({ kernel }) => kernel.timeWaitAfter },
  'time-wait-left': { unit: 'count', of: ({ closes }) => closes.timeWaitLeft },
  retransmits: { unit: 'count', of: ({ kernel }) => kernel.counters.RetransSegs },
} as const satisfies Readonly<Record<string, Figure>>

export type FigureName = keyof typeof figures

export const figureNames: readonly FigureName[] = Object.freeze(
  Object.keys(figures) as FigureName[],
)

/** The unit of the figure with this name, which may come from the result of another release. */
export function unitOf(name: string): FigureUnit {
  return Object.hasOwn(figures, name) ? figures[name as FigureName].unit : 'count'
}

/** Without answers there is no latency, which must not look like a low one. */
function latencyFigure(of: (latency: LatencyDistribution) => number): Figure {
  return { unit: 'ms', of: ({ latency }) => (latency.count === 0 ? null : of(latency)) }
}

/** @returns Infinity for a figure that was 0 and no longer is */
export function ratioOf(now: number, before: number): number {
  return now === before ? 1 : now / before
}
