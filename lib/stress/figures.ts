/** The figures of a result that conditions and baselines name. */
import { percentileNames, type LatencyDistribution, type Percentiles } from './latency-histogram'
import type { StressResult } from './result'

export type FigureUnit = 'ms' | 'number' | 'percent'

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
  rate: { unit: 'number', of: ({ requests }) => requests.perSecond },
  failed: { unit: 'number', of: ({ requests: { failed, unsent } }) => failed + unsent },
  'failed-share': {
    unit: 'percent',
    of: ({ requests: { failed, unsent, planned } }) =>
      planned === 0 ? 0 : (100 * (failed + unsent)) / planned,
  },
  'not-2xx': {
    unit: 'number',
    of: ({ requests: { byStatus } }) =>
      Object.entries(byStatus)
        .filter(([status]) => !status.startsWith('2'))
        .reduce((sum, [, count]) => sum + count, 0),
  },
  'time-wait': { unit: 'number', of: ({ kernel }) => kernel.timeWaitAfter },
  'time-wait-left': { unit: 'number', of: ({ closes }) => closes.timeWaitLeft },
  retransmits: { unit: 'number', of: ({ kernel }) => kernel.counters.RetransSegs },
} as const satisfies Readonly<Record<string, Figure>>

export type FigureName = keyof typeof figures

export const figureNames: readonly FigureName[] = Object.freeze(
  Object.keys(figures) as FigureName[],
)

/** Without answers there is no latency, which must not look like a low one. */
function latencyFigure(of: (latency: LatencyDistribution) => number): Figure {
  return { unit: 'ms', of: ({ latency }) => (latency.count === 0 ? null : of(latency)) }
}

/** @returns Infinity for a figure that was 0 and no longer is */
export function ratioOf(now: number, before: number): number {
  return now === before ? 1 : now / before
}
