import { WorkerWatch } from '../../lib/stress/worker-watch'

class Worker {
  messages = 0
  readonly reasons: string[] = []

  giveUp(reason: string): void {
    this.reasons.push(reason)
  }
}

describe('WorkerWatch', () => {
  beforeEach(() => {
    jest.useFakeTimers()
  })

  afterEach(() => {
    jest.useRealTimers()
  })

  it('gives up a worker that sends nothing for a number of turns, and no other', () => {
    const [alive, silent] = [new Worker(), new Worker()]
    const watch = new WorkerWatch([alive, silent], { beatMs: 100, missing: 3 })
    for (let turn = 1; turn <= 3; turn++) {
      alive.messages++
      jest.advanceTimersByTime(100)
    }
    expect(silent.reasons).toEqual([])
    alive.messages++
    jest.advanceTimersByTime(100)
    expect(silent.reasons).toEqual([
      'it did not respond for 0.3 s; it was stopped (SIGSTOP), or got no processor time',
    ])
    expect(alive.reasons).toEqual([])
    watch.stop()
  })

  it('begins again with each message', () => {
    const worker = new Worker()
    const watch = new WorkerWatch([worker], { beatMs: 100, missing: 3 })
    for (let turn = 1; turn <= 20; turn++) {
      if (turn % 3 === 0) worker.messages++
      jest.advanceTimersByTime(100)
    }
    watch.stop()
    jest.advanceTimersByTime(10_000)
    expect(worker.reasons).toEqual([])
  })
})
