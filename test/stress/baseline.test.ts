import { compareWithBaseline, type StressResult } from '../../lib/stress'
import { failureOf } from '../sockets'
import { distributionOf, resultWith } from './report-results'

const before = resultWith()
const { plan, requests, closes } = before

describe('compareWithBaseline()', () => {
  it('relates each figure to that of the earlier run', () => {
    const now = resultWith({
      latency: distributionOf(2, 4, 6, 8, 101),
      requests: { ...requests, perSecond: 150, failed: 12, planned: 612 },
      closes: { ...closes, timeWaitLeft: 298 },
    })
    const earlier = { ...before, valid: false }
    const { figures, ...rest } = compareWithBaseline(now, earlier)
    expect(rest).toEqual({
      startedAt: before.startedAt,
      valid: false,
      latency: before.latency,
    })
    const ratios = Object.fromEntries(figures.map(({ name, ratio }) => [name, ratio]))
    expect(ratios).toEqual({
      rate: 1.5,
      p50: expect.closeTo(2, 2) as number,
      p99: expect.closeTo(2, 2) as number,
      'p99.9': expect.closeTo(2, 2) as number,
      'failed-share': 1,
      'time-wait-left': 2,
    })
    expect(figures[0]).toEqual({ name: 'rate', before: 100, now: 150, ratio: 1.5 })
    expect(JSON.parse(JSON.stringify(figures))).toEqual(figures)
  })

  it.each([
    ['is 1 if both figures are 0', 0, 0, 1],
    ['is 0 if only the new figure is 0', 9, 0, 0],
    ['is null if only the earlier figure is 0', 0, 9, null],
  ])('has a ratio that %s', (_what, was, is, expected) => {
    const withTimeWait = (timeWaitLeft: number): StressResult =>
      resultWith({ closes: { ...closes, timeWaitLeft } })
    const { figures } = compareWithBaseline(withTimeWait(is), withTimeWait(was))
    expect(figures.at(-1)).toEqual({
      name: 'time-wait-left',
      before: was,
      now: is,
      ratio: expected,
    })
  })

  it('accepts a result read from JSON, and plans that differ only in fields that affect no figure', () => {
    const other = resultWith({ plan: { ...plan, durationMs: 9, warmupMs: 3, sources: [] } })
    const { figures } = compareWithBaseline(before, JSON.parse(JSON.stringify(other)) as never)
    expect(figures.map(({ ratio }) => ratio)).toEqual([1, 1, 1, 1, 1, 1])
  })

  it('lists every difference between the plans', () => {
    const other = resultWith({ plan: { ...plan, connections: 9, requestsPerConnection: null } })
    expect(failureOf(() => compareWithBaseline(before, other))).toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
      message: expect.stringContaining(
        'it has connections 9 instead of 8, requestsPerConnection null instead of 1',
      ) as string,
    })
  })

  it.each([
    ['loop', 'open'],
    ['ratePerSecond', 10],
    ['arrivals', 'poisson'],
    ['connectionsPerSecond', 5],
    ['close', 'deliver'],
  ])('refuses a baseline with another %s', (name, value) => {
    const other = resultWith({ plan: { ...plan, [name]: value } })
    const { code, message } = failureOf(() => compareWithBaseline(before, other))
    expect({ code, names: message.includes(`${name} ${String(value)} instead of `) }).toEqual({
      code: 'ERR_INVALID_ARG_VALUE',
      names: true,
    })
  })

  it.each([
    ['null', null, 'ERR_INVALID_ARG_TYPE'],
    ['an array', [before], 'ERR_INVALID_ARG_TYPE'],
    ['another object', { a: 1 }, 'ERR_INVALID_ARG_TYPE'],
    ['a comparison', { schemaVersion: 1, rounds: 2, ways: [] }, 'ERR_INVALID_ARG_TYPE'],
    ['a result without figures', { ...before, latency: {} }, 'ERR_INVALID_ARG_TYPE'],
    ...[[0], [0, -1], [0, 4], ['0', 5], 'x'].map((buckets): [string, object, string] => [
      `a result with the buckets ${JSON.stringify(buckets)}`,
      { ...before, latency: { ...before.latency, buckets } },
      'ERR_INVALID_ARG_TYPE',
    ]),
    [
      'a result with a figure that is not a number',
      { ...before, requests: { ...requests, perSecond: '9' } },
      'ERR_INVALID_ARG_TYPE',
    ],
    ['a result of another schemaVersion', { ...before, schemaVersion: 2 }, 'ERR_INVALID_ARG_VALUE'],
  ])('refuses %s', (_what, value, code) => {
    expect(failureOf(() => compareWithBaseline(before, value as never)).code).toBe(code)
  })
})
