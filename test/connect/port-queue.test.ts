import { PortQueue, portWaitTotals, type Waiter } from '../../lib/connect/port-queue'

/** A queue whose clock the test moves; a try may move it too. */
function queueWithClock() {
  const clock = { ms: 0 }
  const emptied = jest.fn()
  const queue = new PortQueue(emptied, () => clock.ms)
  const log: string[] = []
  let free = 0
  let costMs = 0
  let tries = 0
  /** Lets `ms` milliseconds pass, and runs their timers. */
  const pass = (ms: number): void => {
    for (let passed = 0; passed < ms; passed++) {
      clock.ms++
      jest.advanceTimersByTime(1)
    }
  }
  const waiter = (name: string): Waiter => ({
    tryAgain: () => {
      tries++
      clock.ms += costMs
      if (free === 0) return false
      free--
      log.push(name)
      return true
    },
    expire: () => log.push(`${name} expired`),
    ended: () => undefined,
  })
  return {
    queue,
    emptied,
    log,
    pass,
    clock,
    waiter,
    free: (ports: number) => (free += ports),
    costs: (ms: number) => (costMs = ms),
    tries: () => tries,
  }
}

/** Returns a function that reports by how much the totals have grown since. */
function counted(): () => Record<string, number> {
  const before = portWaitTotals()
  return () => {
    const now = portWaitTotals()
    const keys = Object.keys(now) as (keyof typeof now)[]
    return Object.fromEntries(keys.map((key) => [key, now[key] - before[key]]))
  }
}

beforeEach(() => {
  jest.useFakeTimers()
})

afterEach(() => {
  jest.useRealTimers()
})

describe('PortQueue', () => {
  it('serves waiting connections in the order of their arrival', () => {
    const { queue, log, pass, waiter, free, emptied } = queueWithClock()
    const grown = counted()
    for (const name of ['a', 'b', 'c']) queue.add(waiter(name), 60_000)
    expect(grown()).toMatchObject({ waiting: 3, served: 0 })
    pass(1_000)
    expect(log).toEqual([])
    free(2)
    pass(500)
    expect(log).toEqual(['a', 'b'])
    expect(emptied).not.toHaveBeenCalled()
    free(1)
    pass(500)
    expect(log).toEqual(['a', 'b', 'c'])
    expect(emptied).toHaveBeenCalledTimes(1)
    expect(grown()).toEqual({ waiting: 0, served: 3, expired: 0, abandoned: 0 })
  })

  it('fails each connection when its own time is over', () => {
    const { queue, log, pass, waiter, free } = queueWithClock()
    const grown = counted()
    queue.add(waiter('a'), 2_000)
    queue.add(waiter('b'), 100)
    pass(150)
    expect(log).toEqual(['b expired'])
    pass(2_000)
    expect(log).toEqual(['b expired', 'a expired'])
    free(1)
    pass(1_000)
    expect(log).toHaveLength(2)
    expect(grown()).toEqual({ waiting: 0, served: 0, expired: 2, abandoned: 0 })
  })

  it('skips a destroyed connection', () => {
    const { queue, log, pass, waiter, free } = queueWithClock()
    const grown = counted()
    const first = waiter('a')
    queue.add(first, 60_000)
    queue.add(waiter('b'), 60_000)
    queue.abandon(first)
    queue.abandon(first)
    free(2)
    pass(500)
    expect(log).toEqual(['b'])
    expect(grown()).toEqual({ waiting: 0, served: 1, expired: 0, abandoned: 1 })
    expect(jest.getTimerCount()).toBe(0)
  })

  it('lets only the first connection try, at growing intervals', () => {
    const { queue, pass, waiter, tries } = queueWithClock()
    for (let i = 0; i < 1_000; i++) queue.add(waiter(String(i)), 60_000)
    pass(10_000)
    // After 5, 10, …, 160 ms (315 ms in all), then every 250 ms.
    expect(tries()).toBe(6 + Math.floor((10_000 - 315) / 250))
  })

  it('tries soon after this process released a port', () => {
    const { queue, pass, waiter, free, log } = queueWithClock()
    queue.add(waiter('a'), 60_000)
    pass(10_000)
    free(1)
    queue.released()
    pass(6)
    expect(log).toEqual(['a'])
  })

  it.each([1, 3, 12])('spends at most a twentieth of the time on searches of %i ms', (ms) => {
    const { queue, clock, waiter, costs, tries } = queueWithClock()
    costs(ms)
    queue.add(waiter('a'), 600_000)
    const begun = clock.ms
    while (clock.ms - begun < 20_000) {
      // The limit holds however many connections end.
      queue.released()
      clock.ms++
      jest.advanceTimersByTime(1)
    }
    expect(tries()).toBeGreaterThan(10)
    expect(tries() * ms * 20).toBeLessThanOrEqual(clock.ms - begun)
  })

  it('serves connections for at most 1 ms per turn of the event loop', () => {
    const { queue, pass, waiter, free, costs, log, emptied } = queueWithClock()
    for (let i = 0; i < 100; i++) queue.add(waiter(String(i)), 60_000)
    free(100)
    costs(1 / 32)
    // 32 searches take 1 ms.
    pass(5)
    expect(log).toHaveLength(32)
    pass(3)
    expect(log).toHaveLength(100)
    expect(emptied).toHaveBeenCalledTimes(1)
  })
})
