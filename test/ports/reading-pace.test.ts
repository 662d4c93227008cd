import { ReadingPace } from '../../lib/ports/reading-pace'

describe('the pace of a watch', () => {
  it('is the interval for cheap readings', () => {
    expect(new ReadingPace(1000).after(2, Infinity)).toBe(1000)
  })

  it('is 250 times the cost of a reading if that exceeds the interval', () => {
    expect(new ReadingPace(1000).after(20, Infinity)).toBe(5000)
  })

  it('depends on the cheapest of the last five readings, because the others were disturbed', () => {
    const pace = new ReadingPace(10)
    const costs = [4, 100, 100, 100, 100, 100]
    expect(costs.map((cost) => pace.after(cost, Infinity))).toEqual([
      1000, 1000, 1000, 1000, 1000, 25_000,
    ])
  })

  it('allows an earlier reading for an expected warning, and a later one in return', () => {
    const pace = new ReadingPace(10)
    expect(pace.after(20, 3000)).toBe(3000)
    expect(pace.after(20, Infinity)).toBe(7000)
    expect(pace.after(20, Infinity)).toBe(5000)
  })

  it('is regular if the warning is expected later', () => {
    expect(new ReadingPace(1000).after(20, 8000)).toBe(5000)
  })

  it('never falls below the interval, and allows no continuous readings for a warning that stays near', () => {
    expect(new ReadingPace(1000).after(1, 20)).toBe(1000)
    const pace = new ReadingPace(10)
    const pauses = Array.from({ length: 100 }, () => pace.after(20, 20))
    expect(Math.min(...pauses)).toBe(1250)
    // At most one pause may be outstanding at the end.
    expect(pauses.reduce((sum, each) => sum + each, 0)).toBeGreaterThanOrEqual(99 * 5000)
  })
})
