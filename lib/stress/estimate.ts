/** A mean with its confidence interval. */
export interface Estimate {
  readonly mean: number
  /** The ends of the 95 % confidence interval of the mean. Equal to it for a single value. */
  readonly low: number
  readonly high: number
}

/** The 97.5th percentile of Student's t-distribution, by degrees of freedom from 1 on. */
const STUDENT = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145,
  2.131, 2.12, 2.11, 2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048,
  2.045, 2.042,
] as const
/** For more degrees of freedom. It is at most 2 % too high or too low. */
const NORMAL = 1.99

/** Estimates the mean of a distribution from some values of it. Null without values. */
export function estimateOf(values: readonly number[]): Estimate | null {
  const { length } = values
  if (length === 0) return null
  const mean = values.reduce((sum, value) => sum + value, 0) / length
  if (length === 1) return { mean, low: mean, high: mean }
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  const half = (STUDENT[length - 2] ?? NORMAL) * Math.sqrt(squares / (length - 1) / length)
  return { mean, low: mean - half, high: mean + half }
}
