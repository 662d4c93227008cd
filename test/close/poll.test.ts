import { pollUntil } from '../../lib/close/poll'

describe('pollUntil()', () => {
  beforeEach(() => {
    jest.useFakeTimers()
  })

  afterEach(() => {
    jest.useRealTimers()
  })

  it('calls back at once if the condition is true', () => {
    const then = jest.fn()
    pollUntil(() => true, then)
    expect(then).toHaveBeenCalledTimes(1)
  })

  it.each([1, 3, 10, 40, 100, 200])(
    'notices a change after %i ms with a delay of at most a quarter of that, and calls back once',
    (ms) => {
      const since = performance.now()
      const waited: number[] = []
      pollUntil(
        () => performance.now() - since >= ms,
        () => waited.push(performance.now() - since),
      )
      jest.advanceTimersByTime(10_000)
      expect(waited).toHaveLength(1)
      // Timers have a resolution of 1 ms.
      expect(waited[0]).toBeLessThanOrEqual(1.25 * ms + 1)
    },
  )

  it('polls at least every 50 ms', () => {
    const condition = jest.fn(() => false)
    pollUntil(condition, jest.fn())
    jest.advanceTimersByTime(1_000)
    condition.mockClear()
    jest.advanceTimersByTime(1_000)
    expect(condition).toHaveBeenCalledTimes(20)
  })

  it('no longer polls after it was stopped', () => {
    const condition = jest.fn(() => false)
    const stop = pollUntil(condition, jest.fn())
    stop()
    condition.mockClear()
    jest.advanceTimersByTime(1_000)
    expect(condition).not.toHaveBeenCalled()
  })
})
