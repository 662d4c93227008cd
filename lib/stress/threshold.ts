/** Conditions on a result, such as `p99>20ms`. */
import { ArgumentValueError } from '../errors'
import { figureNames, figures, ratioOf, type Figure, type FigureUnit } from './figures'
import type { StressResult } from './result'

/** A condition that was parsed. */
export interface Threshold {
  /** As it was written. */
  readonly text: string
  /** Whether it is about the ratio of a figure to that of a baseline, as `p99>1.2x` is. */
  readonly isRatio: boolean
  /** Whether it is true for the values below a limit, as `p99<20ms` is. */
  readonly isUpperLimit: boolean
  /** Returns the measured value; null where it is not known. @param baseline the earlier result, for a ratio */
  readonly valueIn: (result: StressResult, baseline?: StressResult) => number | null
  /** Returns the measured value where the condition is true; undefined where it is false, or not known. */
  readonly exceededBy: (result: StressResult, baseline?: StressResult) => number | undefined
  /** Writes a measured value in the unit of the condition. */
  readonly show: (value: number) => string
}

/** The names that a condition can have, besides `invalid`. */
export const metricNames: readonly string[] = figureNames

const operators: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
}

const factors: Readonly<Record<FigureUnit, Readonly<Record<string, number>>>> = {
  ms: { us: 0.001, ms: 1, s: 1_000 },
  count: { '': 1 },
  perSecond: { '': 1, '/s': 1 },
  percent: { '%': 1 },
}

/** The unit of a ratio to the baseline. */
const RATIO = 'x'

/**
 * @param argument the name of the value in messages
 * @throws ERR_INVALID_ARG_VALUE
 */
export function parseThreshold(argument: string, text: string): Threshold {
  if (text.trim() === 'invalid')
    return {
      text,
      isRatio: false,
      isUpperLimit: false,
      valueIn: ({ limits }) => limits.length,
      exceededBy: ({ limits, valid }) => (valid ? undefined : limits.length),
      show: String,
    }
  const [, name = '', operator = '', digits = '', unit = ''] =
    /^\s*([\w.-]+?)\s*(>=|<=|>|<)\s*(\d+(?:\.\d+)?)\s*([a-z%/]*)\s*$/.exec(text) ?? []
  const named: Readonly<Record<string, Figure>> = figures
  const figure = Object.hasOwn(named, name) ? named[name] : undefined
  const compare = operators[operator]
  if (figure === undefined || compare === undefined)
    throw new ArgumentValueError(
      argument,
      `must be 'invalid', or one of ${metricNames.join(', ')} with >, >=, < or <= and a value, as in 'p99>20ms'`,
      text,
    )
  const isRatio = unit === RATIO
  const units = factors[figure.unit]
  const factor = isRatio ? 1 : units[unit]
  if (factor === undefined) {
    const known = [...Object.keys(units), RATIO]
      .map((each) => (each === '' ? 'none' : each))
      .join(', ')
    throw new ArgumentValueError(argument, `must have a value in one of the units: ${known}`, text)
  }
  const limit = Number(digits) * factor
  const valueIn: Threshold['valueIn'] = (result, baseline) => {
    const measured = figure.of(result)
    return isRatio ? ratioTo(figure, measured, baseline) : measured
  }
  return {
    text,
    isRatio,
    isUpperLimit: operator.startsWith('<'),
    valueIn,
    exceededBy: (result, baseline) => {
      const value = valueIn(result, baseline)
      return value !== null && compare(value, limit) ? value : undefined
    },
    show: (value) => `${String(Number((value / factor).toPrecision(4)))}${unit}`,
  }
}

function ratioTo(
  figure: Figure,
  measured: number | null,
  baseline: StressResult | undefined,
): number | null {
  const before = baseline === undefined ? null : figure.of(baseline)
  return measured === null || before === null ? null : ratioOf(measured, before)
}
