import { createHistogram } from 'node:perf_hooks'
import fc from 'fast-check'
import { LatencyHistogram } from '../../lib/stress'

/** Durations in ms, from nanoseconds to minutes. */
const durations = fc.array(
  fc.oneof(
    fc.double({ min: 1e-6, max: 1, noNaN: true }),
    fc.double({ min: 1, max: 100_000, noNaN: true }),
  ),
  { minLength: 1, maxLength: 300 },
)

function histogramOf(values: readonly number[]): LatencyHistogram {
  const histogram = new LatencyHistogram()
  for (const value of values) histogram.record(value)
  return histogram
}

describe('LatencyHistogram', () => {
  it('returns percentiles at most 0.1 % above those of the samples', () => {
    fc.assert(
      fc.property(durations, fc.double({ min: 0.1, max: 100, noNaN: true }), (values, percent) => {
        const sorted = values.map((value) => Math.round(value * 1e6)).sort((a, b) => a - b)
        const exact = sorted[Math.max(1, Math.ceil((percent / 100) * sorted.length)) - 1] ?? 0
        const found = Math.round(histogramOf(values).percentileMs(percent) * 1e6)
        expect(found).toBeGreaterThanOrEqual(exact)
        expect(found).toBeLessThanOrEqual(Math.max(exact, exact * 1.001))
      }),
    )
  })

  it('agrees with the histogram of perf_hooks', () => {
    fc.assert(
      fc.property(durations, (values) => {
        const theirs = createHistogram({ figures: 4, highest: 2 ** 42 })
        for (const value of values) theirs.record(Math.max(1, Math.round(value * 1e6)))
        const { percentilesMs, count, maxMs } = histogramOf(values).distribution()
        expect(count).toBe(theirs.count)
        expect(maxMs / (theirs.max / 1e6)).toBeCloseTo(1, 3)
        // Node's histogram rounds to the nearest rank, ours rounds up.
        const sorted = values.toSorted((one, other) => one - other)
        for (const [name, value] of Object.entries(percentilesMs)) {
          const percent = Number(name.slice(1))
          const rank = Math.ceil((percent / 100) * sorted.length)
          const found = theirs.percentile(percent) / 1e6
          expect(found).toBeLessThanOrEqual(value * 1.002)
          expect(found).toBeGreaterThanOrEqual((sorted[Math.max(0, rank - 2)] ?? 0) * 0.998 - 1e-6)
        }
      }),
    )
  })

  it('has the same distribution if parts of the samples are added up from JSON', () => {
    fc.assert(
      fc.property(durations, durations, (some, others) => {
        const whole = histogramOf([...some, ...others]).distribution()
        const sum = new LatencyHistogram()
        for (const part of [some, others]) {
          const text = JSON.stringify(histogramOf(part).distribution())
          sum.add(JSON.parse(text) as typeof whole)
        }
        expect(sum.distribution()).toEqual(whole)
      }),
    )
  })

  it('reports zeros without samples and after a reset', () => {
    const histogram = histogramOf([5, 7])
    histogram.reset()
    expect(histogram.distribution()).toEqual(new LatencyHistogram().distribution())
    expect(histogram.distribution()).toMatchObject({ count: 0, minMs: 0, meanMs: 0, maxMs: 0 })
    expect(histogram.percentileMs(99)).toBe(0)
  })

  it('counts samples out of its range at the ends of the range', () => {
    const histogram = histogramOf([-3, 1e9])
    expect(histogram.count).toBe(2)
    expect(histogram.percentileMs(50)).toBe(0)
    expect(histogram.percentileMs(100)).toBeCloseTo((2 ** 42 - 1) / 1e6, 3)
  })
})
