import { circumstancesOf } from '../../lib/stress/circumstances'
import { Load } from '../../lib/stress/load'
import { checkStress } from '../../lib/stress/options'
import { Recorder } from '../../lib/stress/recorder'
import type { Wires } from '../../lib/stress/wire'

const CONNECTIONS = 100

/** Wires that never connect. The first attempt throws. */
class RefusedOnce implements Wires {
  readonly areSecured = false
  attempts = 0

  open(user: Parameters<Wires['open']>[0]): ReturnType<Wires['open']> {
    if (this.attempts++ === 0) throw Object.assign(new Error('refused'), { code: 'EADDRNOTAVAIL' })
    return {
      write: () => undefined,
      close: () => {
        process.nextTick(() => {
          user.closed(performance.now())
        })
      },
      info: () => {
        throw new Error('not connected')
      },
    }
  }

  close(): void {
    // Nothing is open.
  }
}

describe('a closed loop', () => {
  it('opens all its connections if the first one cannot be attempted', async () => {
    const options = checkStress({ target: '127.0.0.1:9', connections: CONNECTIONS })
    const wires = new RefusedOnce()
    const recorder = new Recorder()
    recorder.countsFrom = 0
    const load = new Load(
      { ...circumstancesOf(options), wires, recorder, sample: undefined },
      { connections: CONNECTIONS, arrivals: undefined, pace: undefined },
      { begun: () => true, late: () => undefined },
    )
    try {
      load.start()
      while (wires.attempts < CONNECTIONS) await new Promise((resolve) => setImmediate(resolve))
      expect(recorder.failedConnections).toBe(1)
    } finally {
      load.abort()
      await load.ended()
    }
    expect(load.open).toBe(0)
  })
})
