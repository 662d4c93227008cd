import { closeModeNames, type CloseModeName } from '../close/modes'
import { ArgumentValueError } from '../errors'
import { custom, list, oneOf, spec, whole, type InputOf } from '../spec'
import { estimateOf, type Estimate } from './estimate'
import { Feed } from './feed'
import { figures } from './figures'
import { checkStress, stressOptions, type CheckedStress, type StressOptions } from './options'
import { planOf } from './plan'
import { SCHEMA_VERSION, type StressPlan, type StressResult } from './result'
import { Run, type StressRun } from './run'
import { poolFor } from './worker-pool'

/** A way to end connections: a close mode, a close by the target, or none, for connections that are kept alive. */
export type StressWay = CloseModeName | 'server' | 'keep-alive'

export const stressWays: readonly StressWay[] = [...closeModeNames, 'server', 'keep-alive']

const way = oneOf<StressWay>(...stressWays)

const severalWays = list(way, { min: 2 })

const differentWays = custom<readonly StressWay[]>(severalWays.takes, (argument, value) => {
  const ways = severalWays.required().check(argument, value)
  if (new Set(ways).size === ways.length) return ways
  throw new ArgumentValueError(argument, 'must not name a way twice', value)
})

const MOST_ROUNDS = 1_000
const DEFAULT_MS = 2_000

export const compareOptions = spec({
  ...stressOptions.fields,
  /** The length of a turn, ms. Default 2,000. */
  durationMs: stressOptions.fields.durationMs,
  /** The ways to compare, each a close mode, `'server'` or `'keep-alive'`. The others are related to the first. */
  ways: differentWays.required(),
  /** The number of rounds. Each way has one turn in each round. One more comes first and is not counted. Default 5. */
  rounds: whole(2, MOST_ROUNDS).default(5),
})

/** The options of a comparison. */
export type CompareOptions = InputOf<typeof compareOptions>

/** One way in one round. */
export interface StressTurn {
  readonly way: StressWay
  /** Round 0 is not counted: in it, the code of the generator is compiled and optimized. */
  readonly round: number
  readonly result: StressResult
}

/** The figures of one way. Each estimate is that of the rounds that have the figure, and null if none has it. */
export interface StressWayResult {
  readonly way: StressWay
  readonly perSecond: Estimate | null
  /** The rate over that of the first way, in the same round. A round in which the first way has no rate has none. */
  readonly rateRatio: Estimate | null
  /** Percentiles of the latency. A round without answers has none. */
  readonly p50Ms: Estimate | null
  readonly p99Ms: Estimate | null
  /** Processor time of the generator for each answered request, µs. A round without answers has none. */
  readonly cpuMicroseconds: Estimate | null
  /** In all rounds together. */
  readonly answered: number
  readonly failed: number
  readonly timeWaitLeft: number
  readonly discardedBytes: number
  /** Rounds that the generator did not limit. */
  readonly validRounds: number
  /** The result of each round. */
  readonly results: readonly StressResult[]
}

/** The result of a comparison. All its fields survive JSON. */
export interface StressComparison {
  readonly schemaVersion: typeof SCHEMA_VERSION
  /** The number of complete rounds. An aborted comparison may have fewer than its options say. */
  readonly rounds: number
  readonly ended: 'complete' | 'aborted'
  /** In the order of the options. */
  readonly ways: readonly StressWayResult[]
}

/** A comparison. Iterating over it yields its turns as they end. */
export interface StressComparisonRun extends AsyncIterable<StressTurn> {
  /** Rejects for the reasons for which the result of a run does. */
  readonly result: Promise<StressComparison>
}

/**
 * Compares ways to end connections: runs stress() with each of them in turns, for some rounds, and returns means with
 * confidence intervals. The order changes in each round, so that no way always has the ports that another one left.
 *
 * @throws as `stress()`; ERR_INVALID_ARG_VALUE for the options `close` and `amount`, and for a way that is named twice
 */
export function compare(options: CompareOptions): StressComparisonRun {
  return compareOn(options, undefined)
}

/** A turn that begins. */
export interface StressTurnStart {
  readonly way: StressWay
  readonly round: number
  readonly plan: StressPlan
  readonly run: StressRun
}

/**
 * @param targets a target for each way in place of that of the options, so that each has all ports
 * @param begun called when a turn begins
 */
export function compareOn(
  options: CompareOptions,
  targets: readonly string[] | undefined,
  begun: (turn: StressTurnStart) => void = () => undefined,
): StressComparisonRun {
  const { ways, rounds } = compareOptions.check('options', options)
  for (const name of ['close', 'amount'] as const) {
    if (options[name] !== undefined)
      throw new ArgumentValueError(
        `options.${name}`,
        'cannot be given together with ways',
        options[name],
      )
  }
  const common = Object.fromEntries(
    Object.entries(options).filter(([name]) => Object.hasOwn(stressOptions.fields, name)),
  )
  const plans = ways.map((each, index): readonly [StressWay, CheckedStress] => [
    each,
    checkStress({
      durationMs: DEFAULT_MS,
      ...common,
      ...choiceOf(each),
      ...(targets === undefined ? {} : { target: targets[index] }),
    }),
  ])
  return new Comparison(plans, rounds, options.signal, begun)
}

/** The options of a way. */
export function choiceOf(way_: StressWay): Partial<StressOptions> {
  // Connections that are kept alive are closed at the end of their turn, in the default mode.
  return way_ === 'keep-alive' ? { requestsPerConnection: way_ } : { close: way_ }
}

class Comparison implements StressComparisonRun {
  readonly result: Promise<StressComparison>
  readonly #plans: readonly (readonly [StressWay, CheckedStress])[]
  readonly #begun: (turn: StressTurnStart) => void
  readonly #turns: Feed<StressTurn>

  constructor(
    plans: readonly (readonly [StressWay, CheckedStress])[],
    rounds: number,
    signal: AbortSignal | undefined,
    begun: (turn: StressTurnStart) => void,
  ) {
    this.#plans = plans
    this.#begun = begun
    this.result = Promise.resolve().then(() => this.#run(rounds, signal))
    this.#turns = new Feed(this.result)
  }

  [Symbol.asyncIterator](): AsyncIterator<StressTurn, void, undefined> {
    return this.#turns[Symbol.asyncIterator]()
  }

  async #run(rounds: number, signal: AbortSignal | undefined): Promise<StressComparison> {
    const pool = poolFor(this.#plans[0]?.[1].workers ?? 1)
    try {
      for (let round = 0; round <= rounds; round++) {
        for (const [each, options] of rotated(this.#plans, round)) {
          const run = new Run(options, pool)
          this.#begun({ way: each, round, plan: planOf(options), run })
          const result = await run.result
          // The signal has cut the turn short.
          if (signal?.aborted === true) return this.#summary('aborted', Math.max(0, round - 1))
          this.#turns.push({ way: each, round, result })
        }
      }
      return this.#summary('complete', rounds)
    } finally {
      await pool?.stop()
    }
  }

  #summary(ended: StressComparison['ended'], rounds: number): StressComparison {
    const resultsOf = (each: StressWay): StressResult[] =>
      this.#turns.values
        .filter((turn) => turn.way === each && turn.round >= 1 && turn.round <= rounds)
        .map(({ result }) => result)
    const all = this.#plans.map(([each]): [StressWay, StressResult[]] => [each, resultsOf(each)])
    const first = all[0]?.[1] ?? []
    return {
      schemaVersion: SCHEMA_VERSION,
      rounds,
      ended,
      ways: all.map(([each, results]) => summaryOf(each, results, first)),
    }
  }
}

/** Moves the first `by` elements to the end. */
function rotated<T>(values: readonly T[], by: number): T[] {
  const at = by % values.length
  return [...values.slice(at), ...values.slice(0, at)]
}

function summaryOf(
  way_: StressWay,
  results: readonly StressResult[],
  first: readonly StressResult[],
): StressWayResult {
  const estimate = (of: (result: StressResult, round: number) => number | null): Estimate | null =>
    estimateOf(results.map(of).filter((value) => value !== null))
  const sum = (of: (result: StressResult) => number): number =>
    results.reduce((before, result) => before + of(result), 0)
  return {
    way: way_,
    perSecond: estimate(({ requests }) => requests.perSecond),
    rateRatio: estimate(({ requests }, round) => {
      const base = first[round]?.requests.perSecond ?? 0
      return base === 0 ? null : requests.perSecond / base
    }),
    p50Ms: estimate(figures.p50.of),
    p99Ms: estimate(figures.p99.of),
    cpuMicroseconds: estimate(({ generator, seconds, requests }) =>
      requests.answered === 0
        ? null
        : (1e6 * seconds * (generator.userCpu + generator.systemCpu)) / requests.answered,
    ),
    answered: sum(({ requests }) => requests.answered),
    failed: sum(({ requests }) => requests.failed + requests.unsent),
    timeWaitLeft: sum(({ closes }) => closes.timeWaitLeft),
    discardedBytes: sum(({ closes }) => closes.discardedBytes),
    validRounds: results.filter(({ valid }) => valid).length,
    results,
  }
}
