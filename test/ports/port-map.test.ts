import { tcpStates } from '../../lib/kernel/tcp-states'
import { PortMap } from '../../lib/ports/port-map'

const range = { min: 1001, max: 1010 }
const ESTABLISHED = tcpStates.indexOf('ESTABLISHED')
const TIME_WAIT = tcpStates.indexOf('TIME_WAIT')

type Entry = readonly [at: number, state: number, remainingMs?: number]

function mapOf(...entries: Entry[]): PortMap {
  const map = new PortMap(range)
  for (const [at, state, remainingMs = 0] of entries) map.set(at, state, remainingMs)
  return map
}

describe('PortMap', () => {
  it('counts free ports by parity, starting with that of the lower end', () => {
    expect(mapOf().free()).toEqual([5, 5])
    expect(mapOf([0, ESTABLISHED], [2, TIME_WAIT], [9, ESTABLISHED]).free()).toEqual([3, 4])
  })

  it('counts each port that connect() skips only once, even if it has a socket', () => {
    const map = mapOf([3, ESTABLISHED], [5, TIME_WAIT])
    const reserved = [
      { min: 900, max: 1_004 },
      { min: 1_004, max: 1_004 },
      { min: 2_000, max: 2_001 },
    ]
    const listening = [1_004, 1_010, 1_010, 80]
    expect(map.passOver({ reserved, listening, bound: [1_009, 1_010, 65_535] })).toEqual({
      ports: 4,
      reserved: 4,
      listening: 1,
      bound: 1,
    })
    expect(map.byState()).toEqual({ TIME_WAIT: 1 })
    expect(map.free()).toEqual([2, 1])
  })

  it('reports which TIME_WAIT entries end soon, and in which second', () => {
    const map = mapOf(
      [0, TIME_WAIT, 500],
      [1, TIME_WAIT, 1000],
      [2, TIME_WAIT, 59_999],
      [3, ESTABLISHED],
    )
    expect(map.endingWithin(1000)).toEqual([1, 1])
    const endings = map.endings(60, 0)
    expect([endings[0], endings[1], endings[59]]).toEqual([1, 1, 1])
    // With tcp_tw_reuse each port is free 59 s earlier. The first two are free already.
    expect([...map.endings(1, 59_000)]).toEqual([1])
  })

  it.each<[string, Entry[], Entry[], number, number]>([
    ['nothing', [], [], 0, 0],
    ['a new connection', [], [[0, ESTABLISHED]], 1, 1],
    ['a connection that was made and closed', [], [[0, TIME_WAIT, 59_000]], 1, 0],
    ['a connection that was closed', [[0, ESTABLISHED]], [[0, TIME_WAIT, 59_000]], 0, -1],
    ['a remaining TIME_WAIT', [[0, TIME_WAIT, 9_000]], [[0, TIME_WAIT, 8_000]], 0, 0],
    ['a port taken out of TIME_WAIT', [[0, TIME_WAIT, 9_000]], [[0, ESTABLISHED]], 1, 1],
    [
      'a port taken out of TIME_WAIT and closed again',
      [[0, TIME_WAIT, 9_000]],
      [[0, TIME_WAIT, 59_500]],
      1,
      0,
    ],
    ['a TIME_WAIT that ended', [[0, TIME_WAIT, 900]], [], 0, 0],
  ])(
    'detects the ports that were taken within a second: %s',
    (_, before, after, taken, moreLive) => {
      expect(mapOf(...after).changesSince(mapOf(...before), 1000)).toEqual({ taken, moreLive })
    },
  )
})
