import { LingeringGroup } from '../../lib/close/lingering-group'

describe('a group of lingering connections', () => {
  it('ends the oldest connections if their number exceeds the limit', () => {
    const group = new LingeringGroup()
    const ended: number[] = []
    const ends = Array.from({ length: 5 }, (_, index) => () => {
      ended.push(index)
    })
    for (const end of ends) group.add(end, 3)
    expect(ended).toEqual([0, 1])
    expect(group).toMatchObject({ size: 3, evicted: 2 })
  })

  it('does not count connections that have ended by themselves', () => {
    const group = new LingeringGroup()
    const ended: number[] = []
    const ends = Array.from({ length: 3 }, (_, index) => () => {
      ended.push(index)
    })
    group.add(ends[0] ?? fail, 2)
    group.add(ends[1] ?? fail, 2)
    group.remove(ends[0] ?? fail)
    group.add(ends[2] ?? fail, 2)
    expect(ended).toEqual([])
    expect(group).toMatchObject({ size: 2, evicted: 0 })
  })

  it('ends several connections at once after the limit was lowered', () => {
    const group = new LingeringGroup()
    let ended = 0
    for (let i = 0; i < 10; i++) group.add(() => ended++, 100)
    group.add(() => ended++, 2)
    expect(ended).toBe(9)
    expect(group.size).toBe(2)
  })
})

function fail(): void {
  throw new Error('must not be called')
}
