/** Relates the figures of a run to those of an earlier one. */
import { ArgumentTypeError, ArgumentValueError, isObject } from '../errors'
import { figures, ratioOf, type FigureName } from './figures'
import { isDistribution } from './latency-histogram'
import type { StressBaseline, StressPlan, StressResult } from './result'
import { checkSchemaVersion } from './result-check'

const compared = [
  'rate',
  'p50',
  'p99',
  'p99.9',
  'failed-share',
  // Entries of earlier runs do not count: the baseline may be one of them.
  'time-wait-left',
] as const satisfies readonly FigureName[]

/** The parts of a plan that decide the figures. */
const decisive = [
  'loop',
  'connections',
  'ratePerSecond',
  'arrivals',
  'connectionsPerSecond',
  'requestsPerConnection',
  'close',
] as const satisfies readonly (keyof StressPlan)[]

/**
 * Relates the figures of a run to those of an earlier one, which may come from its JSON.
 *
 * @throws ERR_INVALID_ARG_TYPE for a baseline that is not the result of a run; ERR_INVALID_ARG_VALUE if it has another
 *   `schemaVersion`, or a plan with another loop, rate, way of closing or number of connections or requests
 */
export function compareWithBaseline(result: StressResult, baseline: StressResult): StressBaseline {
  const earlier = checkBaseline('baseline', baseline, result.plan)
  return {
    startedAt: earlier.startedAt,
    valid: earlier.valid,
    figures: compared.map((name) => {
      const now = figures[name].of(result)
      const before = figures[name].of(earlier)
      const ratio = now === null || before === null ? null : ratioOf(now, before)
      return { name, before, now, ratio: ratio === Infinity ? null : ratio }
    }),
    latency: earlier.latency,
  }
}

/**
 * @param argument the name of the value in messages
 * @param plan that of the run to compare
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE
 */
export function checkBaseline(argument: string, value: unknown, plan: StressPlan): StressResult {
  checkSchemaVersion(argument, value)
  if (!isResult(value)) throw new ArgumentTypeError(argument, 'the result of a single run', value)
  const differences = planDifferences(plan, value.plan)
  if (differences.length === 0) return value
  throw new ArgumentValueError(
    argument,
    `must have the plan of this run, but it has ${differences.join(', ')}`,
    value.plan,
    'another plan',
  )
}

function isResult(value: unknown): value is StressResult {
  const { startedAt, valid, plan, requests, latency, closes, kernel } = value as Partial<
    Record<keyof StressResult, unknown>
  >
  return (
    typeof startedAt === 'string' &&
    typeof valid === 'boolean' &&
    [plan, requests, latency, closes, kernel].every(isObject) &&
    isDistribution(latency) &&
    isObject((requests as Partial<StressResult['requests']>).byStatus) &&
    isObject((kernel as Partial<StressResult['kernel']>).counters) &&
    Object.values(figures).every((figure) => {
      const measured: unknown = figure.of(value as StressResult)
      return measured === null || Number.isFinite(measured)
    })
  )
}

/** Each as in "connections 20 instead of 50". */
function planDifferences(now: StressPlan, before: StressPlan): string[] {
  return decisive.flatMap((name) =>
    before[name] === now[name]
      ? []
      : [`${name} ${String(before[name])} instead of ${String(now[name])}`],
  )
}
