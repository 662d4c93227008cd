import { Pace } from '../../lib/ports/pace'

describe('the pace of a watch', () => {
  it('is the interval where looks cost little', () => {
    expect(new Pace(1000).after(2, Infinity)).toBe(1000)
  })

  it('is 250 times what a look costs where that is more', () => {
    expect(new Pace(1000).after(20, Infinity)).toBe(5000)
  })

  it('takes the cheapest of the last five looks for the cost: the others were held up', () => {
    const pace = new Pace(10)
    const costs = [4, 100, 100, 100, 100, 100]
    expect(costs.map((cost) => pace.after(cost, Infinity))).toEqual([
      1000, 1000, 1000, 1000, 1000, 25_000,
    ])
  })

  it('looks sooner where a warning is foreseen, and later for it afterwards', () => {
    const pace = new Pace(10)
    expect(pace.after(20, 3000)).toBe(3000)
    expect(pace.after(20, Infinity)).toBe(7000)
    expect(pace.after(20, Infinity)).toBe(5000)
  })

  it('looks when it would anyway where the warning is foreseen for later', () => {
    expect(new Pace(1000).after(20, 8000)).toBe(5000)
  })

  it('never looks more often than the interval says, nor all the time for a warning that is always near', () => {
    expect(new Pace(1000).after(1, 20)).toBe(1000)
    const pace = new Pace(10)
    const pauses = Array.from({ length: 100 }, () => pace.after(20, 20))
    expect(Math.min(...pauses)).toBe(1250)
    // One pause may be owed at the end, not more.
    expect(pauses.reduce((sum, each) => sum + each, 0)).toBeGreaterThanOrEqual(99 * 5000)
  })
})
