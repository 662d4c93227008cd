/** Searches for the highest rate of an open loop at which a condition holds. */
import { ArgumentValueError, SocketTunerError } from '../errors'
import { spec, whole, type InputOf } from '../spec'
import { Feed } from './feed'
import { checkStress, MAX_RATE, stressOptions, type CheckedStress } from './options'
import { planOf } from './plan'
import { SCHEMA_VERSION, type StressPlan, type StressResult } from './result'
import { Run, type StressRun } from './run'
import { parseThreshold, type Threshold } from './threshold'
import { poolFor } from './worker-pool'

const MOST_ROUNDS = 100
const FIRST_RATE = 100
const DEFAULT_MS = 2_000
const DEFAULT_WARMUP_MS = 500
/** The search ends if the lowest rate that failed is at most this many times the highest one that held. */
const CLOSE_ENOUGH = 1.05
/** Below this rate, a round has too few requests to judge by. */
const LOWEST_RATE = 1
/** From this rate on, rates are whole numbers. */
const WHOLE_FROM = 10
/** A round in which a larger share of the requests failed does not hold, whatever its latencies. */
const TOLERATED_FAILURES = 0.01

export const findRateOptions = spec({
  ...stressOptions.fields,
  /** The rate of the first round, requests per second. Default 100. */
  ratePerSecond: stressOptions.fields.ratePerSecond,
  /** The length of a round, ms. Default 2,000. */
  durationMs: stressOptions.fields.durationMs,
  /** A time before each round in which requests are sent and not counted, ms. Default 500. */
  warmupMs: stressOptions.fields.warmupMs,
  /** The most rounds, each of `durationMs`. Default 12. */
  rounds: whole(1, MOST_ROUNDS).default(12),
})

/** The options of a search. */
export type FindRateOptions = InputOf<typeof findRateOptions>

/**
 * Why a rate does not hold:
 *
 * - `condition`: the condition is false, or its figure is not known here.
 * - `failures`: more than 1 % of the requests failed, none was answered, or the target could no longer be measured.
 * - `generator`: the run is not valid, so the target may be able to serve more.
 */
export type FindRateCause = 'condition' | 'failures' | 'generator'

/** Why a rate does not hold, in figures. */
export interface FindRateFailure {
  readonly ratePerSecond: number
  readonly cause: FindRateCause
  readonly message: string
}

/** A round of a search. */
export interface FindRateRound {
  /** From 1. */
  readonly round: number
  readonly ratePerSecond: number
  /** Null if the rate holds. */
  readonly failure: FindRateFailure | null
  readonly result: StressResult
}

/** The result of a search. All its fields survive JSON. */
export interface FindRateResult {
  readonly schemaVersion: typeof SCHEMA_VERSION
  /** As the caller wrote it. */
  readonly condition: string
  readonly ended: 'complete' | 'aborted'
  /** The highest rate that held; null if none did. */
  readonly ratePerSecond: number | null
  /** The lowest rate that failed; null if each rate held. */
  readonly limit: FindRateFailure | null
  /** Complete rounds, the first one first. */
  readonly rounds: readonly FindRateRound[]
}

/** A search. Iterating over it yields its rounds as they end. */
export interface FindRateRun extends AsyncIterable<FindRateRound> {
  /** Rejects for the reasons for which the result of a run does. */
  readonly result: Promise<FindRateResult>
}

/**
 * Searches for the highest rate of an open loop at which a condition holds: doubles the rate until a round fails, then
 * bisects. A rate holds if its condition is true, at most 1 % of its requests failed, and the generator did not limit its
 * round; a round that the generator limited is repeated once.
 *
 * @param condition a comparison by < or <=, such as `p99<20ms`, of a figure that --fail-if has
 * @throws as `stress()`; ERR_INVALID_ARG_VALUE for the option `amount` and for another condition
 */
export function findRate(options: FindRateOptions, condition: string): FindRateRun {
  return findRateWith(options, condition, () => undefined)
}

/** @param begun called when a round begins, with the most rounds that there may be */
export function findRateWith(
  options: FindRateOptions,
  condition: string,
  begun: (run: StressRun, plan: StressPlan, mostRounds: number) => void,
): FindRateRun {
  const { checked, rounds, holds } = checkFindRate(options, 'condition', condition)
  const pool = poolFor(checked.workers)
  return new RateSearch(
    (ratePerSecond) => {
      const ofRound = { ...checked, ratePerSecond }
      const run = new Run(ofRound, pool)
      begun(run, planOf(ofRound), rounds)
      return run.result
    },
    { firstRate: checked.ratePerSecond ?? FIRST_RATE, condition: holds, mostRounds: rounds },
    options.signal,
    async () => pool?.stop(),
  )
}

/**
 * @param argument the name of the condition in messages
 * @throws as {@link findRate}
 */
export function checkFindRate(
  options: FindRateOptions,
  argument: string,
  condition: string,
): { checked: CheckedStress; rounds: number; holds: Threshold } {
  const { rounds } = findRateOptions.check('options', options)
  const holds = parseThreshold(argument, condition)
  if (!holds.isUpperLimit || holds.isRatio)
    throw new ArgumentValueError(
      argument,
      "must be a comparison by < or <= that a high rate makes false, as in 'p99<20ms'",
      condition,
    )
  if (options.amount !== undefined)
    throw new ArgumentValueError(
      'options.amount',
      'cannot be combined with a search for a rate',
      options.amount,
    )
  const common = Object.fromEntries(
    Object.entries(options).filter(([name]) => Object.hasOwn(stressOptions.fields, name)),
  )
  const checked = checkStress({
    ratePerSecond: FIRST_RATE,
    durationMs: DEFAULT_MS,
    warmupMs: DEFAULT_WARMUP_MS,
    ...common,
  })
  return { checked, rounds, holds }
}

interface RateSearchPlan {
  readonly firstRate: number
  readonly condition: Threshold
  readonly mostRounds: number
}

export class RateSearch implements FindRateRun {
  readonly result: Promise<FindRateResult>
  readonly #measure: (ratePerSecond: number) => Promise<StressResult>
  readonly #plan: RateSearchPlan
  readonly #rounds: Feed<FindRateRound>

  /** @param release called when no more rounds are measured */
  constructor(
    measure: (ratePerSecond: number) => Promise<StressResult>,
    plan: RateSearchPlan,
    signal: AbortSignal | undefined,
    release: () => Promise<void> = () => Promise.resolve(),
  ) {
    this.#measure = measure
    this.#plan = plan
    this.result = Promise.resolve()
      .then(() => this.#run(signal))
      .finally(release)
    this.#rounds = new Feed(this.result)
  }

  [Symbol.asyncIterator](): AsyncIterator<FindRateRound, void, undefined> {
    return this.#rounds[Symbol.asyncIterator]()
  }

  async #run(signal: AbortSignal | undefined): Promise<FindRateResult> {
    const { firstRate, condition, mostRounds } = this.#plan
    let rate: number | undefined = firstRate
    let highest: number | null = null
    let limit: FindRateFailure | null = null
    let ended: FindRateResult['ended'] = 'complete'
    for (let round = 1; round <= mostRounds && rate !== undefined; round++) {
      let result: StressResult
      try {
        result = await this.#measure(rate)
      } catch (error) {
        if (round === 1 || !(error instanceof SocketTunerError)) throw error
        // The load of the earlier rounds has broken the target. Their measurements are kept.
        const cause = error.code === 'ERR_SOCKET_TUNER_STRESS_WORKER' ? 'generator' : 'failures'
        limit = { ratePerSecond: rate, cause, message: error.message }
        break
      }
      if (signal?.aborted === true) {
        // The signal has cut the round short.
        ended = 'aborted'
        break
      }
      const failure = failureIn(result, condition, rate)
      const isRepeated = this.#rounds.values.at(-1)?.ratePerSecond === rate
      this.#rounds.push({ round, ratePerSecond: rate, failure, result })
      // A busy moment of this machine says nothing about a rate.
      if (failure?.cause === 'generator' && !isRepeated && round < mostRounds) continue
      if (failure === null) highest = rate
      else limit = failure
      rate = nextRate(highest, limit?.ratePerSecond)
    }
    return {
      schemaVersion: SCHEMA_VERSION,
      condition: condition.text,
      ended,
      ratePerSecond: highest,
      limit,
      rounds: this.#rounds.values,
    }
  }
}

/**
 * @param highest the highest rate that held; null if none did
 * @param lowest the lowest rate that failed; undefined if none did
 * @returns undefined if the search is over
 */
function nextRate(highest: number | null, lowest: number | undefined): number | undefined {
  if (lowest === undefined) {
    if (highest === null) return undefined
    const doubled = Math.min(MAX_RATE, 2 * highest)
    return doubled === highest ? undefined : doubled
  }
  if (highest !== null && lowest / highest <= CLOSE_ENOUGH) return undefined
  const middle = ((highest ?? 0) + lowest) / 2
  if (middle < LOWEST_RATE) return undefined
  const rate = middle < WHOLE_FROM ? middle : Math.round(middle)
  return rate === highest || rate === lowest ? undefined : rate
}

/** Why a round does not hold; null if it does. */
function failureIn(
  result: StressResult,
  condition: Threshold,
  ratePerSecond: number,
): FindRateFailure | null {
  const { limits, requests } = result
  const failure = (cause: FindRateCause, message: string): FindRateFailure => ({
    ratePerSecond,
    cause,
    message,
  })
  // Requests that were not sent waited for connections, which a slow target holds too.
  const own = limits.find(({ code }) => code !== 'unsent')
  if (own !== undefined) return failure('generator', own.message)
  const { planned, answered, failed } = requests
  const [unsent] = limits
  // Nothing was sent, so nothing is known about the target.
  if (unsent !== undefined && answered + failed === 0) return failure('generator', unsent.message)
  if (answered === 0 || failed > TOLERATED_FAILURES * planned)
    return failure(
      'failures',
      `${String(failed)} of ${String(planned)} requests failed, and ${String(answered)} were answered.`,
    )
  if (condition.exceededBy(result) === undefined) {
    const value = condition.valueIn(result)
    const shown = value === null ? 'not known here' : condition.show(value)
    return failure('condition', `${condition.text} is not true: it is ${shown}.`)
  }
  return unsent === undefined ? null : failure('generator', unsent.message)
}
