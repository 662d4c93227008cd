import {
  findRate,
  type FindRateOptions,
  type FindRateResult,
  type FindRateRound,
  type StressResult,
} from '../../lib/stress'
import { SocketTunerError } from '../../lib/errors'
import { RateSearch } from '../../lib/stress/find-rate'
import { parseThreshold } from '../../lib/stress/threshold'
import { failureOf } from '../sockets'
import { distributionOf, resultWith } from './report-results'
import { httpTarget } from './servers'

const { requests } = resultWith()
const good = { requests: { ...requests, failed: 0 }, latency: distributionOf(5) }

const fast = resultWith(good)
const slow = resultWith({ ...good, latency: distributionOf(50) })
const limited = resultWith({
  ...good,
  valid: false,
  limits: [{ code: 'late-sends', message: 'started late' }],
})

/** Searches with these results for a p99 below 20 ms. */
async function search(
  measure: (rate: number, round: number) => StressResult,
  { firstRate = 100, mostRounds = 12 } = {},
): Promise<FindRateResult> {
  let round = 0
  return new RateSearch(
    (rate) => Promise.resolve().then(() => measure(rate, ++round)),
    { firstRate, mostRounds, condition: parseThreshold('condition', 'p99<20ms') },
    undefined,
  ).result
}

function ratesOf({ rounds }: FindRateResult): number[] {
  return rounds.map(({ ratePerSecond }) => ratePerSecond)
}

describe('the search for a rate', () => {
  it('doubles the rate until a round fails, and then bisects', async () => {
    const result = await search((rate) => (rate <= 1_234 ? fast : slow))
    expect(ratesOf(result)).toEqual([100, 200, 400, 800, 1_600, 1_200, 1_400, 1_300, 1_250])
    expect(result).toMatchObject({
      condition: 'p99<20ms',
      ended: 'complete',
      ratePerSecond: 1_200,
      limit: { ratePerSecond: 1_250, cause: 'condition' },
    })
    expect(result.limit?.message).toMatch(/^p99<20ms is not true: it is 50(\.\d+)?ms\.$/)
  })

  it('goes below the first rate if that one fails', async () => {
    const result = await search((rate) => (rate <= 30 ? fast : slow))
    expect(ratesOf(result)).toEqual([100, 50, 25, 38, 32, 29, 31, 30])
    expect(result).toMatchObject({ ratePerSecond: 30, limit: { ratePerSecond: 31 } })
  })

  it('ends without a rate if no rate holds', async () => {
    const result = await search(() => slow, { firstRate: 3 })
    expect(ratesOf(result)).toEqual([3, 1.5])
    expect(result).toMatchObject({ ratePerSecond: null, limit: { ratePerSecond: 1.5 } })
  })

  it('ends after its maximum number of rounds, without a limit if every rate held', async () => {
    const result = await search(() => fast, { mostRounds: 4 })
    expect(ratesOf(result)).toEqual([100, 200, 400, 800])
    expect(result).toMatchObject({ ratePerSecond: 800, limit: null })
  })

  it('does not exceed the highest rate that stress() accepts', async () => {
    const result = await search(() => fast, { firstRate: 600_000 })
    expect(ratesOf(result)).toEqual([600_000, 1_000_000])
  })

  it('repeats a round once if the generator limited it', async () => {
    const result = await search((rate, round) => (rate > 200 || round === 1 ? limited : fast))
    expect(ratesOf(result).slice(0, 5)).toEqual([100, 100, 200, 400, 400])
    expect(result).toMatchObject({
      ratePerSecond: 200,
      limit: { cause: 'generator', message: 'started late' },
    })
  })

  it.each([
    [
      'failed requests',
      resultWith({ ...good, requests: { ...requests, planned: 500, failed: 6, answered: 494 } }),
      'failures',
      '6 of 500 requests failed, and 494 were answered.',
    ],
    [
      'requests without an answer',
      resultWith({ ...good, requests: { ...requests, planned: 9, failed: 0, answered: 0 } }),
      'failures',
      '0 of 9 requests failed, and 0 were answered.',
    ],
    [
      'requests that were not sent',
      resultWith({ ...good, limits: [{ code: 'unsent', message: 'no free connection' }] }),
      'generator',
      'no free connection',
    ],
    [
      'a generator that sent nothing',
      resultWith({
        ...good,
        requests: { ...requests, planned: 9, failed: 0, answered: 0, unsent: 9 },
        limits: [{ code: 'unsent', message: 'no free connection' }],
      }),
      'generator',
      'no free connection',
    ],
    [
      'a false condition rather than the requests that were therefore not sent',
      resultWith({ ...slow, limits: [{ code: 'unsent', message: 'no free connection' }] }),
      'condition',
      expect.stringContaining('p99<20ms is not true') as string,
    ],
  ])('explains a failed rate with %s', async (_what, failing, cause, message) => {
    const { limit } = await search(() => failing, { mostRounds: 1 })
    expect(limit).toEqual({ ratePerSecond: 100, cause, message })
  })

  it('tolerates one failed request in a hundred', async () => {
    const few = resultWith({ ...good, requests: { ...requests, planned: 500, failed: 5 } })
    expect((await search(() => few, { mostRounds: 1 })).ratePerSecond).toBe(100)
  })

  it('keeps its rounds if the target stops working, and rejects if it never worked', async () => {
    const error = new SocketTunerError('it refuses connections', { code: 'ECONNREFUSED' })
    const broken = (at: number) => (_rate: number, round: number) => {
      if (round === at) throw error
      return fast
    }
    const { rounds, ...result } = await search(broken(3))
    expect(rounds).toHaveLength(2)
    expect(result).toMatchObject({
      ratePerSecond: 200,
      limit: { ratePerSecond: 400, cause: 'failures', message: error.message },
    })
    await expect(search(broken(1))).rejects.toBe(error)
  })
})

describe('findRate()', () => {
  const short = { connections: 8, durationMs: 200, warmupMs: 10, rounds: 3 } as const

  it('runs open loops, yields each round and returns a summary', async () => {
    const { url } = await httpTarget()
    const run = findRate({ target: url, ...short, ratePerSecond: 50 }, 'failed<=0')
    const rounds: FindRateRound[] = []
    for await (const round of run) rounds.push(round)
    const result = await run.result
    expect(JSON.parse(JSON.stringify(result))).toEqual(result)
    expect(result).toMatchObject({ schemaVersion: 1, ended: 'complete', rounds })
    expect(rounds.map(({ round }) => round)).toEqual([1, 2, 3])
    for (const { ratePerSecond, failure, result: measured } of rounds) {
      expect(measured.plan).toMatchObject({ loop: 'open', ratePerSecond, durationMs: 200 })
      // Other programs on this machine may limit the generator. A round has no other reason to fail.
      expect(failure?.cause).toBe(measured.valid ? undefined : 'generator')
    }
    const held = rounds.filter(({ failure }) => failure === null)
    const highest = Math.max(...held.map(({ ratePerSecond }) => ratePerSecond))
    expect(result.ratePerSecond).toBe(held.length === 0 ? null : highest)
  })

  it('begins with 100 requests per second', async () => {
    const { url } = await httpTarget()
    const { rounds } = await findRate({ target: url, ...short, rounds: 1 }, 'p99<10s').result
    expect(rounds).toMatchObject([{ ratePerSecond: 100 }])
  })

  it('keeps the complete rounds if it is aborted', async () => {
    const { url } = await httpTarget()
    const abort = new AbortController()
    const { signal } = abort
    const run = findRate({ target: url, ...short, rounds: 9, signal }, 'p99<10s')
    for await (const { round } of run) if (round === 2) abort.abort()
    const { rounds, ended } = await run.result
    expect({ ended, rounds: rounds.length }).toEqual({ ended: 'aborted', rounds: 2 })
  })

  it('rejects with the error of stress() if the target cannot be measured', async () => {
    const { result } = findRate({ target: 'http://127.0.0.1:1/' }, 'p99<20ms')
    await expect(result).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  it.each([
    ['a condition that a high rate makes true', {}, 'p99>20ms'],
    ['a ratio as the condition', {}, 'p99<2x'],
    ['invalid as the condition', {}, 'invalid'],
    ['an empty condition', {}, ''],
    ['the option amount', { amount: 5 }, 'p99<20ms'],
    ['options that contradict each other', { send: 'x' }, 'p99<20ms'],
  ])('refuses %s before it sends anything', (_what, options, condition) => {
    const all = { target: 'http://127.0.0.1:1/', ...options } as FindRateOptions
    expect(failureOf(() => findRate(all, condition)).code).toBe('ERR_INVALID_ARG_VALUE')
  })
})
