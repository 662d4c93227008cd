import { compare, type CompareOptions, type StressTurn } from '../../lib/stress'
import { estimateOf } from '../../lib/stress/estimate'
import { Feed } from '../../lib/stress/feed'
import { failureOf } from '../sockets'
import { httpTarget } from './servers'

const ways = ['fin', 'deliver', 'keep-alive'] as const

// Elsewhere 'deliver' is 'fin', and both leave TIME_WAIT.
const linux = process.platform === 'linux' ? it : it.skip

describe('compare()', () => {
  linux('runs the ways in rounds whose order changes, and sums them up', async () => {
    const { url } = await httpTarget()
    const run = compare({ target: url, ways, rounds: 2, durationMs: 300, connections: 4 })
    const turns: StressTurn[] = []
    for await (const turn of run) turns.push(turn)
    expect(turns.map(({ way, round }) => [round, way])).toEqual([
      [0, 'fin'],
      [0, 'deliver'],
      [0, 'keep-alive'],
      [1, 'deliver'],
      [1, 'keep-alive'],
      [1, 'fin'],
      [2, 'keep-alive'],
      [2, 'fin'],
      [2, 'deliver'],
    ])
    const comparison = await run.result
    expect(JSON.parse(JSON.stringify(comparison))).toEqual(comparison)
    expect(comparison).toMatchObject({ schemaVersion: 1, rounds: 2, ended: 'complete' })
    expect(comparison.ways.map(({ way }) => way)).toEqual(ways)
    for (const {
      way,
      results,
      answered,
      timeWaitLeft,
      rateRatio,
      perSecond,
      p50Ms,
    } of comparison.ways) {
      const counted = turns.filter((turn) => turn.way === way && turn.round > 0)
      expect(results).toEqual(counted.map(({ result }) => result))
      expect(answered).toBe(results.reduce((sum, { requests }) => sum + requests.answered, 0))
      expect(timeWaitLeft > 0).toBe(way === 'fin')
      expect(perSecond?.low).toBeLessThanOrEqual(perSecond?.mean ?? NaN)
      if (way === 'fin') expect(rateRatio).toEqual({ mean: 1, low: 1, high: 1 })
      if (way === 'fin') expect(p50Ms?.mean).toBeGreaterThan(0)
      const most = way === 'keep-alive' ? 4 : Infinity
      for (const { connections } of results) expect(connections.opened).toBeLessThanOrEqual(most)
    }
  })

  it('keeps the complete rounds if it is aborted', async () => {
    const { url } = await httpTarget()
    const abort = new AbortController()
    const { signal } = abort
    const run = compare({ target: url, ways: ['fin', 'reset'], rounds: 9, durationMs: 30, signal })
    for await (const { round } of run) if (round === 2) abort.abort()
    const { rounds, ended, ways: summed } = await run.result
    expect(ended).toBe('aborted')
    expect(rounds).toBe(1)
    for (const { results } of summed) expect(results).toHaveLength(1)
  })

  it('leaves rounds without answers out of the estimates', async () => {
    let isProbe = true
    const { url } = await httpTarget((_request, response) => {
      if (isProbe) response.end()
      else response.destroy()
      isProbe = false
    })
    const short = { rounds: 2, durationMs: 50 }
    const run = compare({ target: url, ways: ['fin', 'reset'], ...short })
    for await (const { result } of run) {
      expect(result.requests.answered).toBe(0)
      isProbe = true
    }
    const { ways: summed } = await run.result
    expect(summed).toMatchObject(
      (['fin', 'reset'] as const).map((way) => ({
        way,
        perSecond: { mean: 0, low: 0, high: 0 },
        rateRatio: null,
        p50Ms: null,
        p99Ms: null,
        cpuMicroseconds: null,
        answered: 0,
      })),
    )
  })

  it('rejects with the error of stress() if the target cannot be measured', async () => {
    const run = compare({ target: 'http://127.0.0.1:1/', ways: ['fin', 'reset'] })
    await expect(run.result).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  it.each([
    ['one way', { ways: ['fin'] }],
    ['a way twice', { ways: ['fin', 'fin'] }],
    ['an unknown way', { ways: ['fin', 'finn'] }],
    ['the option close', { ways, close: 'fin' }],
    ['the option amount', { ways, amount: 1 }],
    ['options that contradict each other', { ways, send: 'x' }],
  ])('refuses %s before it sends anything', (_what, options) => {
    const all = { target: 'http://127.0.0.1:1/', ...options } as unknown as CompareOptions
    expect(failureOf(() => compare(all)).code).toBe('ERR_INVALID_ARG_VALUE')
  })
})

describe('estimateOf()', () => {
  const none = { mean: NaN, low: NaN, high: NaN }

  it("returns the 95 % confidence interval of Student's t-distribution", () => {
    const { mean, low, high } = estimateOf([1, 2, 3]) ?? none
    expect(mean).toBe(2)
    // 4.303 * 1 / sqrt(3)
    expect(high - mean).toBeCloseTo(2.484, 3)
    expect(mean - low).toBeCloseTo(2.484, 3)
  })

  it.each([
    [[7], 7],
    [[5, 5, 5], 5],
  ])('returns an interval of width 0 for %j', (values, mean) => {
    expect(estimateOf(values)).toEqual({ mean, low: mean, high: mean })
  })

  it('returns null if there are no values', () => {
    expect(estimateOf([])).toBeNull()
  })
})

describe('Feed', () => {
  it('yields all values to every reader, late ones included, and rejects when its end does', async () => {
    let fail: (error: Error) => void = () => undefined
    const end = new Promise((_resolve, reject) => (fail = reject))
    const feed = new Feed<number>(end)
    const read = async (): Promise<{ values: number[]; error?: unknown }> => {
      const values: number[] = []
      try {
        for await (const value of feed) values.push(value)
        return { values }
      } catch (error) {
        return { values, error }
      }
    }
    const early = read()
    feed.push(1)
    const middle = read()
    feed.push(2)
    const error = new Error('the end')
    fail(error)
    const expected = { values: [1, 2], error }
    expect(await Promise.all([early, middle, read()])).toEqual([expected, expected, expected])
  })
})
