import * as fc from 'fast-check'
import { Pace } from '../../lib/stress/pace'

/** Takes as often as the pace allows at `ms`, and returns the count. */
function takenAt(pace: Pace, ms: number): number {
  let count = 0
  while (pace.take(ms)) count++
  return count
}

describe('Pace', () => {
  it('reports when the next one is due', () => {
    const pace = new Pace(10)
    expect(pace.take(1_000)).toBe(true)
    expect(pace.nextMs).toBeCloseTo(1_090)
    expect(pace.take(1_089)).toBe(false)
    expect(pace.take(1_091)).toBe(true)
  })

  it('makes up for a late timer', () => {
    const pace = new Pace(1_000)
    takenAt(pace, 0)
    expect(takenAt(pace, 5.5)).toBe(5)
    expect(takenAt(pace, 10.5)).toBe(5)
  })

  it('never exceeds the rate by more than one turn of 10 ms', () => {
    const pauses = fc.array(fc.double({ min: 0, max: 500, noNaN: true }), { maxLength: 40 })
    fc.assert(
      fc.property(fc.double({ min: 1, max: 20_000, noNaN: true }), pauses, (perSecond, all) => {
        const pace = new Pace(perSecond)
        let [now, taken] = [0, takenAt(pace, 0)]
        for (const pause of all) {
          now += pause
          taken += takenAt(pace, now)
        }
        expect(taken).toBeLessThanOrEqual(1.001 + ((now + 10) * perSecond * 1.000001) / 1000)
      }),
    )
  })
})
