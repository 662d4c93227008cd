import { tcpStates } from '../../lib/kernel/tcp-states'
import type { Place, PortRules } from '../../lib/ports/place'
import { PortMap } from '../../lib/ports/port-map'
import { RateLearner } from '../../lib/ports/rates'
import type { Snapshot } from '../../lib/ports/snapshot'

const range = { min: 1000, max: 2999 }
const ESTABLISHED = tcpStates.indexOf('ESTABLISHED')
const TIME_WAIT = tcpStates.indexOf('TIME_WAIT')

/** A snapshot at `seconds` in which `live` ports have connections, and the next `waiting` ports are in TIME_WAIT. */
function look(seconds: number, live: number, waiting: number, ports = range): Snapshot {
  const map = new PortMap(ports)
  for (let at = 0; at < live; at++) map.set(at, ESTABLISHED, 0)
  for (let at = live; at < live + waiting; at++) map.set(at, TIME_WAIT, 60_000 - 1000 * seconds)
  return {
    place: {} as Place,
    rules: {} as PortRules,
    ports: map,
    usable: { ports: 0, reserved: 0, listening: 0, bound: 0 },
    interrupted: false,
    at: 1000 * seconds,
    processorMs: 0,
  }
}

describe('RateLearner', () => {
  it('reports no rate after one snapshot', () => {
    expect(new RateLearner().learn(look(0, 0, 0))).toBeUndefined()
  })

  it('averages the rate over the last 10 s', () => {
    const learner = new RateLearner()
    learner.learn(look(0, 0, 0))
    expect(learner.learn(look(1, 0, 100))).toEqual({ rate: 100, growth: 0 })
    expect(learner.learn(look(2, 0, 110))).toEqual({ rate: 55, growth: 0 })
    for (let second = 3; second <= 12; second++) {
      learner.learn(look(second, 0, 110 + 10 * (second - 2)))
    }
    expect(learner.learn(look(13, 0, 220))).toEqual({ rate: 10, growth: 0 })
  })

  it('detects significant growth of live connections', () => {
    const learner = new RateLearner()
    learner.learn(look(0, 0, 0))
    expect(learner.learn(look(1, 50, 0))).toEqual({ rate: 50, growth: 50 })
    const other = new RateLearner()
    other.learn(look(0, 100, 0))
    expect(other.learn(look(1, 103, 0))).toEqual({ rate: 3, growth: 0 })
  })

  it('starts over if the range has changed', () => {
    const learner = new RateLearner()
    learner.learn(look(0, 0, 0))
    expect(learner.learn(look(1, 0, 100, { min: 1000, max: 3999 }))).toBeUndefined()
    expect(learner.learn(look(2, 0, 110, { min: 1000, max: 3999 }))).toEqual({
      rate: 10,
      growth: 0,
    })
  })
})
