/** Merged results must be the same as if one process had made all runs. */
import fc from 'fast-check'
import { compareWithBaseline, mergeResults, type StressResult } from '../../lib/stress'
import { distributionOf, resultWith, snapshotWith } from './report-results'

/** Durations of up to 100 s, ms. */
const durations = fc.array(fc.double({ min: 1e-6, max: 100_000, noNaN: true }), { maxLength: 100 })

function merged(...results: readonly StressResult[]): StressResult {
  return mergeResults(JSON.parse(JSON.stringify(results)) as StressResult[])
}

type Bag = Record<string, unknown>

/** Returns a copy that a test can modify like any other program. */
function copyOf(result: StressResult): Bag {
  return JSON.parse(JSON.stringify(result)) as Bag
}

const openLoop = {
  loop: 'open',
  ratePerSecond: 100,
  arrivals: 'constant',
  connectionsPerSecond: 40,
  durationMs: null,
  amount: 300,
} as const

describe('mergeResults()', () => {
  it('adds up counts, rates and plans', () => {
    const plan = { ...resultWith().plan, ...openLoop }
    const closes = { ...resultWith().closes, underWay: 2 }
    const one = resultWith({ plan, closes })
    const other = resultWith({
      plan: { ...plan, connections: 5, ratePerSecond: 50, amount: 150 },
      closes,
    })
    const result = merged(one, other)
    expect(result.plan).toEqual({
      ...plan,
      connections: 13,
      ratePerSecond: 150,
      connectionsPerSecond: 80,
      amount: 450,
      workers: 2,
    })
    expect(result.requests).toEqual({
      planned: 612,
      answered: 600,
      failed: 12,
      unsent: 0,
      aborted: 0,
      perSecond: 200,
      bytesReceived: 6_000,
      byStatus: { 200: 580, 503: 20 },
    })
    expect(result.connections).toMatchObject({ opened: 300, perSecond: 100, mostOpen: 16 })
    expect(result.errors).toEqual([{ ...one.errors[0], count: 12 }])
    expect(result.closes).toMatchObject({
      closes: { fin: 300 },
      fallbacks: { ended: 6 },
      timeWaitLeft: 298,
      underWay: 4,
    })
    expect(result.kernel).toMatchObject({
      minRttMs: 0.02,
      sampledConnections: 24,
      timeWaitAfter: 298,
      portsBefore: 56_464,
    })
    expect(result.kernel.counters.TW).toBe(2 * (one.kernel.counters.TW ?? 0))
  })

  it('merges the distributions of any samples exactly', () => {
    fc.assert(
      fc.property(durations, durations, durations, (...parts) => {
        const whole = distributionOf(...parts.flat())
        const result = merged(
          ...parts.map((samples) => {
            const own = distributionOf(...samples)
            const { phases, generator } = resultWith()
            return resultWith({
              latency: own,
              phases: { ...phases, queue: own },
              generator: { ...generator, lag: own },
            })
          }),
        )
        expect(result.latency).toEqual(whole)
        expect(result.phases.queue).toEqual(whole)
        expect(result.generator.lag).toEqual(whole)
      }),
      { numRuns: 30 },
    )
  })

  it('divides the answers by the longest duration', () => {
    const short = resultWith({ seconds: 1, requests: { ...resultWith().requests, perSecond: 30 } })
    expect(merged(resultWith(), short).requests.perSecond).toBeCloseTo((3 * 100 + 30) / 3, 9)
    expect(merged(resultWith(), short).seconds).toBe(3)
  })

  it('returns the same for results that were merged before', () => {
    const parts = [1, 2, 3].map((n) =>
      resultWith({ latency: distributionOf(n), seconds: n, errors: [] }),
    ) as [StressResult, StressResult, StressResult]
    const [one, two, three] = parts
    const atOnce = { ...merged(one, two, three), workers: [] }
    expect({ ...merged(merged(one, two), three), workers: [] }).toEqual(atOnce)
    expect({ ...merged(one, merged(two, three)), workers: [] }).toEqual(atOnce)
  })

  it('keeps the measurements of each generator, and reports the worst event loop', () => {
    const busy = {
      eventLoopBusy: 0.9,
      eventLoopDelayMs: { mean: 0.1, p99: 8, max: 9 },
      userCpu: 0.5,
      systemCpu: 0.2,
      lag: distributionOf(3),
    }
    const { generator } = resultWith()
    const result = merged(resultWith(), resultWith({ generator: busy }))
    expect(result.generator).toEqual({
      eventLoopBusy: 0.9,
      eventLoopDelayMs: { mean: 0.5, p99: 8, max: 9 },
      userCpu: expect.closeTo(0.7, 9) as number,
      systemCpu: expect.closeTo(0.3, 9) as number,
      lag: busy.lag,
    })
    expect(result.workers).toEqual([
      { name: 'run 1', answered: 300, perSecond: 100, generator },
      { name: 'run 2', answered: 300, perSecond: 100, generator: busy },
    ])
    expect(merged(result, resultWith()).workers.map(({ name }) => name)).toEqual([
      'run 1, run 1',
      'run 1, run 2',
      'run 2',
    ])
  })

  it('returns a valid result only if each run is valid, and names the worst one', () => {
    const limits = [{ code: 'unsent', message: 'Requests were not sent.' }] as const
    const invalid = (unsent: number): StressResult =>
      resultWith({ valid: false, limits, requests: { ...resultWith().requests, unsent } })
    expect(merged(resultWith(), resultWith())).toMatchObject({ valid: true, limits: [] })
    expect(merged(resultWith(), invalid(1))).toMatchObject({
      valid: false,
      limits: [{ code: 'unsent', message: 'Run 2: Requests were not sent.' }],
    })
    const [limit] = merged(invalid(1), resultWith(), invalid(2)).limits
    expect(limit?.message).toBe('Run 3, the worst of 2: Requests were not sent.')
  })

  it.each([
    [1, 3, true],
    [2, 3, false],
    [5, 60, true],
    [7, 60, false],
  ])('judges runs that started %d s apart and took %d s: %s', (apart, seconds, valid) => {
    const startedAt = (s: number): string => new Date(Date.UTC(2030, 1) + 1000 * s).toISOString()
    const runs = [
      resultWith({ startedAt: startedAt(apart), seconds }),
      resultWith({ startedAt: startedAt(0), seconds }),
    ]
    const result = merged(...runs)
    expect(result.startedAt).toBe(startedAt(0))
    expect(result.valid).toBe(valid)
    expect(result.limits.map(({ code }) => code)).toEqual(valid ? [] : ['apart'])
  })

  it('merges snapshots of the same time', () => {
    const series = [1, 2, 3].map((second) => snapshotWith({ second }))
    const late = [1.1, 2.2, 2.9].map((second) =>
      snapshotWith({ second, latencyMs: { ...snapshotWith().latencyMs, p50: 1, p99: 60 } }),
    )
    const result = merged(resultWith({ series }), resultWith({ series: late }))
    expect(result.series).toHaveLength(3)
    expect(result.series[1]).toEqual({
      ...snapshotWith(),
      second: 2.2,
      answered: 200,
      failed: 4,
      connectionsOpened: 100,
      connectionsOpen: 16,
      // The JSON has no distributions. These are upper bounds of the percentiles of the whole.
      latencyMs: { p50: 1.25, p90: 2.5, p99: 60, 'p99.9': 90, max: 100 },
      timeWait: 800,
      portsFree: 56_000,
    })
  })

  it.each([
    ['duration', ['amount', 'duration']],
    ['amount', ['amount', 'amount']],
    ['aborted', ['duration', 'aborted']],
  ] as const)('reports %s as the end of runs that ended with %j', (ended, ends) => {
    expect(merged(...ends.map((each) => resultWith({ ended: each }))).ended).toBe(ended)
  })

  it('reports a figure of the kernel as unknown if one of the runs lacks it', () => {
    const { kernel } = resultWith()
    const other = resultWith({
      kernel: { ...kernel, minRttMs: null, timeWaitAfter: null, portsBefore: null },
    })
    expect(merged(resultWith(), other).kernel).toMatchObject({
      minRttMs: 0.02,
      timeWaitBefore: 0,
      timeWaitAfter: null,
      portsBefore: null,
    })
  })

  it('accepts results of releases without workers and without closes under way', () => {
    const copy = copyOf(resultWith())
    Reflect.deleteProperty(copy, 'workers')
    Reflect.deleteProperty(copy.plan as object, 'workers')
    Reflect.deleteProperty(copy.closes as object, 'underWay')
    const earlier = copy as unknown as StressResult
    const result = mergeResults([earlier, earlier])
    expect(result.plan.workers).toBe(2)
    expect(result.closes.underWay).toBe(0)
    expect(result.workers).toHaveLength(2)
  })

  it('returns a result that can be a baseline', () => {
    const result = merged(resultWith(), resultWith())
    const { figures } = compareWithBaseline(result, merged(resultWith(), resultWith()))
    expect(figures[0]).toMatchObject({ name: 'rate', before: 200, now: 200, ratio: 1 })
  })
})

describe('the arguments of mergeResults()', () => {
  const { plan, target } = resultWith()

  it.each([
    ['close fin instead of deliver', { plan: { ...plan, close: 'deliver' } }],
    ['durationMs 3000 instead of 4000', { plan: { ...plan, durationMs: 4_000 } }],
    ['connectionsPerSecond null instead of 5', { plan: { ...plan, connectionsPerSecond: 5 } }],
    [
      'target http://127.0.0.1:8080/ instead of http://b/, loop closed instead of open',
      {
        target: { ...target, url: 'http://b/' },
        plan: { ...plan, loop: 'open', ratePerSecond: 9, arrivals: 'constant' },
      },
    ],
  ] as const)('are refused with the differences: %s', (message, first) => {
    expect(() => mergeResults([resultWith(first), resultWith()])).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_ARG_VALUE',
        message: expect.stringMatching(
          new RegExp(`'results\\[1\\]' must have the target and the plan.*it has ${message}`),
        ) as string,
      }) as Error,
    )
  })

  it.each([
    ['not an array', {}, 'ERR_INVALID_ARG_TYPE', 'results'],
    ['an empty array', [], 'ERR_INVALID_ARG_VALUE', 'results'],
    ['an array with a number', [resultWith(), 5], 'ERR_INVALID_ARG_TYPE', 'results[1]'],
    ['an array with undefined', [resultWith(), undefined], 'ERR_INVALID_ARG_TYPE', 'results[1]'],
    ['of another schemaVersion', [{ schemaVersion: 2 }], 'ERR_INVALID_ARG_VALUE', 'results[0]'],
    [
      'an array with a comparison',
      [{ schemaVersion: 1, ways: [] }],
      'ERR_INVALID_ARG_TYPE',
      "'startedAt'",
    ],
  ])('are refused if they are %s', (_what, results, code, name) => {
    expect(() => mergeResults(results as StressResult[])).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(name) as string }) as Error,
    )
  })

  it.each([
    ['requests.planned', ['requests', 'planned'], '5'],
    ['requests.failed', ['requests', 'failed'], -1],
    ['requests.byStatus', ['requests', 'byStatus', '200'], null],
    ['startedAt', ['startedAt'], 'yesterday'],
    ['ended', ['ended'], 'soon'],
    ['errors[0].count', ['errors', '0', 'count'], undefined],
    ['series[2].latencyMs.p99', ['series', '2', 'latencyMs', 'p99'], null],
    ['kernel.portWaits', ['kernel', 'portWaits'], null],
    ['latency', ['latency', 'count'], 6],
    ['latency', ['latency', 'buckets'], [1_000]],
    ['latency', ['latency', 'buckets'], [2, 2, 1, 3]],
    ['latency', ['latency', 'buckets'], [1e6, 5]],
    ['latency', ['latency', 'buckets'], [0.5, 5]],
    ['latency', ['latency', 'buckets'], [1, 5.5]],
    ['phases.tls', ['phases', 'tls'], undefined],
    ['generator.lag', ['generator', 'lag', 'minMs'], '0'],
    ['plan.workers', ['plan', 'workers'], null],
  ])('are refused if %s is invalid: %j is %j', (path, names, value) => {
    const copy = copyOf(resultWith())
    const last = names.pop() ?? ''
    const holder = names.reduce<Bag>((inner, name) => inner[name] as Bag, copy)
    holder[last] = value
    expect(() => mergeResults([copy as unknown as StressResult])).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_ARG_TYPE',
        message: expect.stringContaining(`'${path}' is missing or wrong`) as string,
      }) as Error,
    )
  })
})
