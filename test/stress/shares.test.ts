/** The division of a run between its workers. */
import fc from 'fast-check'
import { Arrivals } from '../../lib/stress/arrivals'
import { checkStress, type StressOptions } from '../../lib/stress/options'
import { Pace } from '../../lib/stress/pace'
import { optionsOf, portionOf, portsOf, type PortFacts } from '../../lib/stress/shares'
import { SourcePool } from '../../lib'

const counts = fc.integer({ min: 1, max: 64 })

/** Calls `of` for each share, and returns the parts. */
function partsOf<T>(count: number, of: (share: { index: number; count: number }) => T): T[] {
  return Array.from({ length: count }, (_, index) => of({ index, count }))
}

describe('the parts of a run', () => {
  it('have numbers that add up to those of the run and differ by at most 1', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), counts, (total, count) => {
        const portions = partsOf(count, (share) => portionOf(total, share))
        expect(portions.reduce((sum, each) => sum + BigInt(each), 0n)).toBe(BigInt(total))
        expect(Math.max(...portions) - Math.min(...portions)).toBeLessThanOrEqual(1)
      }),
    )
  })

  it('together have the connections, the amount and the rates of the run', () => {
    const options = checkStress({
      target: 'http://a/',
      connections: 10,
      amount: 100,
      ratePerSecond: 5,
      workers: 3,
    })
    const parts = partsOf(3, (share) => optionsOf(options, share))
    expect(parts.map(({ connections }) => connections)).toEqual([4, 3, 3])
    expect(parts.map(({ amount }) => amount)).toEqual([34, 33, 33])
    expect(parts.map(({ ratePerSecond }) => ratePerSecond)).toEqual([5, 5, 5])
  })

  it('start the same requests as one process if the times between them are equal', () => {
    const rates = fc.double({ min: 0.1, max: 100_000, noNaN: true })
    fc.assert(
      fc.property(rates, counts, (rate, count) => {
        const whole = new Arrivals(rate, 'constant', 1_000)
        const parts = partsOf(
          count,
          (share) => new Arrivals(rate, 'constant', 1_000, Math.random, share),
        )
        // The workers take turns, so the numbers are exactly the same.
        for (let round = 0; round < 5; round++)
          for (const part of parts) expect(part.take()).toBe(whole.take())
      }),
    )
  })

  it('each have an equal part of the rate if the times between the requests are random', () => {
    const fixed = (): number => 0.5
    const share = { index: 1, count: 4 }
    expect(new Arrivals(1_000, 'poisson', 0, fixed, share).take()).toBeCloseTo(4 * Math.LN2, 9)
  })

  it('together open no more connections than the pace of the run allows', () => {
    fc.assert(
      fc.property(fc.double({ min: 1, max: 5_000, noNaN: true }), counts, (perSecond, count) => {
        const parts = partsOf(count, (share) => new Pace(perSecond, 0, share))
        let opened = 0
        for (let now = 0; now <= 1_000; now++)
          for (const part of parts) while (part.take(now)) opened++
        // The first connection needs no time.
        expect(opened).toBeLessThanOrEqual(Math.ceil(perSecond) + 1)
        // Each worker may have to wait for its turn at the end.
        expect(opened).toBeGreaterThanOrEqual(Math.floor(perSecond) - count)
      }),
    )
  })
})

describe('the ports of the parts of a run', () => {
  const facts: PortFacts = {
    canConfine: true,
    range: { min: 32_768, max: 60_999 },
    reserved: [],
  }

  function rangesOf(count: number, given: Partial<PortFacts>, more: Partial<StressOptions> = {}) {
    const options = checkStress({ target: 'a:1', connections: 64, ...more })
    return partsOf(count, (share) => portsOf(options, share, { ...facts, ...given }))
  }

  it('are parts of the range without a gap or an overlap', () => {
    expect(rangesOf(3, {})).toEqual([
      { portRange: { min: 32_768, max: 42_178 } },
      { portRange: { min: 42_179, max: 51_589 } },
      { portRange: { min: 51_590, max: 60_999 } },
    ])
  })

  it('do not count reserved ports', () => {
    const reserved = [
      { min: 1, max: 105 },
      { min: 110, max: 110 },
    ]
    expect(rangesOf(2, { range: { min: 100, max: 120 }, reserved })).toEqual([
      { portRange: { min: 106, max: 113 } },
      { portRange: { min: 114, max: 120 } },
    ])
  })

  it('are never fewer than the connections if the ports of the run suffice', () => {
    const sizes = fc.integer({ min: 1, max: 500 })
    fc.assert(
      fc.property(sizes, sizes, counts, (ports, some, count) => {
        const connections = Math.min(ports, some)
        fc.pre(count <= connections)
        const ranges = rangesOf(count, { range: { min: 1, max: ports } })
        ranges.forEach(({ portRange }, index) => {
          if (typeof portRange !== 'object') throw new Error('a range is missing')
          const own = portRange.max - portRange.min + 1
          expect(own).toBeGreaterThanOrEqual(portionOf(connections, { index, count }))
        })
      }),
    )
  })

  it.each([
    ['there are more workers than ports', { range: { min: 1, max: 2 } }, {}],
    ['the kernel would search a part of the range slowly', { canConfine: false }, {}],
    ['the range is not known', { range: undefined }, {}],
    ["portRange is 'kernel'", {}, { portRange: 'kernel' }],
  ] as const)('are shared if %s', (_why, given, more) => {
    expect(rangesOf(3, given, more)).toEqual([{}, {}, {}])
  })

  it('are those of separate source addresses if the range cannot be divided', () => {
    const source = ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4']
    const sourcesOf = (count: number): unknown[] =>
      rangesOf(count, { canConfine: false }, { source }).map(({ source: own }) =>
        own instanceof SourcePool ? own.addresses : own,
      )
    expect(sourcesOf(2)).toEqual([source.slice(0, 2), source.slice(2)])
    expect(sourcesOf(4)).toEqual(source)
    // One worker would have fewer ports than the other.
    expect(sourcesOf(3)).toEqual([undefined, undefined, undefined])
  })
})
