import { BacklogFeed } from '../../lib/ports/backlog-feed'

const allLeft = jest.fn()
beforeEach(() => {
  allLeft.mockClear()
})

const value = async (loop: AsyncIterator<number, undefined>): Promise<number | undefined> =>
  (await loop.next()).value

describe('BacklogFeed', () => {
  it('passes every record to every loop, in order', async () => {
    const feed = new BacklogFeed<number>(10, allLeft)
    const loops = [feed.read(), feed.read()] as const
    const waiting = loops[0].next()
    for (const record of [1, 2, 3]) feed.push(record)
    expect(await waiting).toEqual({ done: false, value: 1 })
    expect([await value(loops[0]), await value(loops[0])]).toEqual([2, 3])
    expect([await value(loops[1]), await value(loops[1]), await value(loops[1])]).toEqual([1, 2, 3])
    expect(feed.skipped).toBe(0)
  })

  it('skips and counts records beyond the backlog of a slow loop', async () => {
    const feed = new BacklogFeed<number>(2, allLeft)
    const slow = feed.read()
    for (const record of [1, 2, 3, 4]) feed.push(record)
    expect(feed.skipped).toBe(2)
    expect(await value(slow)).toBe(1)
    feed.push(5)
    expect([await value(slow), await value(slow)]).toEqual([2, 5])
    expect(feed.skipped).toBe(2)
  })

  it('ends a loop after the records in its queue', async () => {
    const feed = new BacklogFeed<number>(10, allLeft)
    const loop = feed.read()
    feed.push(1)
    feed.end(undefined)
    expect(await loop.next()).toEqual({ done: false, value: 1 })
    expect(await loop.next()).toEqual({ done: true, value: undefined })
    expect(await feed.read().next()).toEqual({ done: true, value: undefined })
  })

  it('throws its error once in each loop', async () => {
    const feed = new BacklogFeed<number>(10, allLeft)
    const loop = feed.read()
    const waiting = loop.next()
    feed.end(new Error('gone'))
    await expect(waiting).rejects.toThrow('gone')
    expect(await loop.next()).toEqual({ done: true, value: undefined })
    await expect(feed.read().next()).rejects.toThrow('gone')
  })

  it('reports when the last loop was left', async () => {
    const feed = new BacklogFeed<number>(10, allLeft)
    const loops = [feed.read(), feed.read()] as const
    await loops[0].return?.()
    expect(allLeft).not.toHaveBeenCalled()
    await loops[1].return?.()
    expect(allLeft).toHaveBeenCalledTimes(1)
  })
})
