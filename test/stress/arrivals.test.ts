import fc from 'fast-check'
import { Arrivals } from '../../lib/stress/arrivals'

describe('Arrivals', () => {
  it('are equally spaced and do not drift from the rate', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.1, max: 100_000, noNaN: true }), (rate) => {
        const arrivals = new Arrivals(rate, 'constant', 1_000)
        const starts = Array.from({ length: 1_001 }, () => arrivals.take())
        expect(starts[0]).toBe(1_000)
        expect(starts[1_000]).toBeCloseTo(1_000 + 1_000_000 / rate, 6)
      }),
    )
  })

  it('have exponentially distributed gaps if they are random', () => {
    const uniform = [0, 0.5, 0.9]
    let at = 0
    const arrivals = new Arrivals(1_000, 'poisson', 0, () => uniform[at++] ?? 0)
    const starts = [arrivals.take(), arrivals.take(), arrivals.take()]
    expect(starts[0]).toBe(0)
    expect(starts[1]).toBeCloseTo(Math.LN2, 9)
    expect(starts[2]).toBeCloseTo(Math.LN2 + Math.LN10, 9)
  })

  it('have the given rate on average if they are random', () => {
    const arrivals = new Arrivals(500, 'poisson', 0)
    let last = 0
    for (let i = 0; i < 100_000; i++) last = arrivals.take()
    // The limits are ten standard deviations, each 0.32 % of the sum.
    expect(last / 200_000).toBeGreaterThan(0.968)
    expect(last / 200_000).toBeLessThan(1.032)
  })
})
