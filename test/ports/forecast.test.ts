import { secondsUntilExhaustion, type Outlook } from '../../lib/ports/forecast'

const none = new Uint32Array(60)

function ask(outlook: Partial<Outlook>): number | undefined {
  return secondsUntilExhaustion({
    available: 1000,
    endings: none,
    live: 0,
    rate: 0,
    growth: 0,
    held: 60,
    ...outlook,
  })
}

describe('secondsUntilExhaustion()', () => {
  it('is 0 without a free port, whatever the rate', () => {
    expect(ask({ available: 0 })).toBe(0)
    expect(ask({ available: 0, rate: 5 })).toBe(0)
  })

  it('is undefined if no port is taken', () => {
    expect(ask({ rate: 0 })).toBeUndefined()
  })

  it('is the number of free ports divided by the rate if no port becomes free', () => {
    expect(ask({ rate: 50 })).toBeCloseTo(20)
    expect(ask({ rate: 50.5 })).toBeCloseTo(1000 / 50.5)
  })

  it('is undefined if ports become free before the last one is taken', () => {
    expect(ask({ rate: 1000 / 60 - 0.1 })).toBeUndefined()
    expect(ask({ rate: 1000 / 60 + 0.1 })).toBeCloseTo(1000 / (1000 / 60 + 0.1))
  })

  it('counts ports that become free in the meantime, in their second', () => {
    const endings = new Uint32Array(60)
    endings[5] = 500
    // The free ports last for 20 s, those that become free for 10 s more.
    expect(ask({ rate: 50, endings })).toBeCloseTo(30)
    endings.fill(0)
    endings[25] = 500
    expect(ask({ rate: 50, endings })).toBeCloseTo(20)
    endings.fill(50)
    expect(ask({ rate: 50, endings })).toBeUndefined()
  })

  it('assumes that a port becomes free after the lifetime of its connection', () => {
    // Connections live for 20 s, so the first port is free again after 80 s.
    expect(ask({ available: 1300, rate: 20, live: 400 })).toBeCloseTo(65)
    expect(ask({ available: 1700, rate: 20, live: 400 })).toBeUndefined()
  })

  it('takes the growth of live connections into account', () => {
    // 600 ports in the first 60 s, then 2 per second.
    expect(ask({ rate: 10, growth: 2 })).toBeCloseTo(60 + 400 / 2)
  })
})
