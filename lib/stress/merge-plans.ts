/** The plan of several runs together. */
import { ArgumentValueError } from '../errors'
import type { StressPlan, StressResult } from './result'

/** The parts of a plan that the runs must have in common. The others are added up. */
const common = [
  'loop',
  'arrivals',
  'requestsPerConnection',
  'close',
  'durationMs',
  'warmupMs',
  'timeoutMs',
] as const satisfies readonly (keyof StressPlan)[]

/** These are added up, so either all runs have a limit or none has. */
const summed = [
  'ratePerSecond',
  'connectionsPerSecond',
  'amount',
] as const satisfies readonly (keyof StressPlan)[]

/**
 * @param argument the name of the results in messages
 * @throws ERR_INVALID_ARG_VALUE, with the differences, if they do not fit
 */
export function mergePlans(
  argument: string,
  results: readonly Pick<StressResult, 'plan' | 'target'>[],
): StressPlan {
  const [first, ...others] = results
  if (first === undefined) throw new ArgumentValueError(argument, 'must not be empty', results)
  others.forEach((other, index) => {
    const differences = differencesOf(first, other)
    if (differences.length > 0)
      throw new ArgumentValueError(
        `${argument}[${String(index + 1)}]`,
        `must have the target and the plan of the first result, but it has ${differences.join(', ')}`,
        other.plan,
        'another plan',
      )
  })
  const plans = results.map(({ plan }) => plan)
  const sum = (of: (plan: StressPlan) => number | null): number | null => sumOrNull(plans.map(of))
  return {
    ...first.plan,
    connections: plans.reduce((before, plan) => before + plan.connections, 0),
    ratePerSecond: sum(({ ratePerSecond }) => ratePerSecond),
    connectionsPerSecond: sum(({ connectionsPerSecond }) => connectionsPerSecond),
    amount: sum(({ amount }) => amount),
    sources: [...new Set(plans.flatMap(({ sources }) => sources))],
    workers: plans.reduce((before, plan) => before + plan.workers, 0),
  }
}

/** The sum; null if one of the values is null. */
export function sumOrNull(values: readonly (number | null)[]): number | null {
  return values.reduce((sum, value) => (sum === null || value === null ? null : sum + value), 0)
}

/** Each as in "close fin instead of deliver". */
function differencesOf(
  first: Pick<StressResult, 'plan' | 'target'>,
  other: Pick<StressResult, 'plan' | 'target'>,
): string[] {
  const different = (name: string, now: unknown, before: unknown): string[] =>
    now === before ? [] : [`${name} ${String(now)} instead of ${String(before)}`]
  return [
    ...different('target', other.target.url, first.target.url),
    ...common.flatMap((name) => different(name, other.plan[name], first.plan[name])),
    ...summed.flatMap((name) =>
      (other.plan[name] === null) === (first.plan[name] === null)
        ? []
        : different(name, other.plan[name], first.plan[name]),
    ),
  ]
}
