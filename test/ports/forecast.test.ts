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
  it('is 0 without a port, whatever the rate', () => {
    expect(ask({ available: 0 })).toBe(0)
    expect(ask({ available: 0, rate: 5 })).toBe(0)
  })

  it('is never where none is taken', () => {
    expect(ask({ rate: 0 })).toBeUndefined()
  })

  it('is what is left by the rate, while nothing comes back', () => {
    expect(ask({ rate: 50 })).toBeCloseTo(20)
    expect(ask({ rate: 50.5 })).toBeCloseTo(1000 / 50.5)
  })

  it('is never where ports come back before the last one goes', () => {
    expect(ask({ rate: 1000 / 60 - 0.1 })).toBeUndefined()
    expect(ask({ rate: 1000 / 60 + 0.1 })).toBeCloseTo(1000 / (1000 / 60 + 0.1))
  })

  it('counts those that come back by then, in the second in which they do', () => {
    const endings = new Uint32Array(60)
    endings[5] = 500
    // 20 s without them, 10 s more with them.
    expect(ask({ rate: 50, endings })).toBeCloseTo(30)
    endings.fill(0)
    endings[25] = 500
    expect(ask({ rate: 50, endings })).toBeCloseTo(20)
    endings.fill(50)
    expect(ask({ rate: 50, endings })).toBeUndefined()
  })

  it('gives a port back when its connection has lived too', () => {
    // 20 s of life: 80 s until the first comes back.
    expect(ask({ available: 1300, rate: 20, live: 400 })).toBeCloseTo(65)
    expect(ask({ available: 1700, rate: 20, live: 400 })).toBeUndefined()
  })

  it('sees connections pile up that are not closed', () => {
    // In the first 60 s 600, then 2 a second.
    expect(ask({ rate: 10, growth: 2 })).toBeCloseTo(60 + 400 / 2)
  })
})
