import { LatestFeed } from '../../lib/ports/latest-feed'

const allLeft = jest.fn()
beforeEach(() => {
  allLeft.mockClear()
})

describe('LatestFeed', () => {
  it('passes each batch to every loop, item by item', async () => {
    const feed = new LatestFeed<number>(allLeft)
    const readers = [feed.read(), feed.read()]
    const waiting = readers[0]?.next()
    feed.push([1, 2])
    expect(await waiting).toEqual({ done: false, value: 1 })
    expect(await readers[0]?.next()).toEqual({ done: false, value: 2 })
    expect(await readers[1]?.next()).toEqual({ done: false, value: 1 })
  })

  it('passes only the newest batch to a slow loop', async () => {
    const feed = new LatestFeed<number>(allLeft)
    const reader = feed.read()
    for (const batch of [[1, 2], [3, 4], [5]]) feed.push(batch)
    expect(await reader.next()).toEqual({ done: false, value: 5 })
  })

  it('serves concurrent calls of next()', async () => {
    const feed = new LatestFeed<number>(allLeft)
    const reader = feed.read()
    const three = [reader.next(), reader.next(), reader.next()]
    feed.push([1, 2])
    feed.push([3])
    const values = (await Promise.all(three)).map(({ value }) => value)
    expect(values).toEqual([1, 2, 3])
  })

  it('ends pending and later calls of next()', async () => {
    const feed = new LatestFeed<number>(allLeft)
    const reader = feed.read()
    const waiting = reader.next()
    feed.end(undefined)
    expect(await waiting).toEqual({ done: true, value: undefined })
    expect(await feed.read().next()).toEqual({ done: true, value: undefined })
  })

  it('throws its error once in each loop', async () => {
    const feed = new LatestFeed<number>(allLeft)
    const reader = feed.read()
    const waiting = reader.next()
    feed.end(new Error('gone'))
    await expect(waiting).rejects.toThrow('gone')
    expect(await reader.next()).toEqual({ done: true, value: undefined })
    await expect(feed.read().next()).rejects.toThrow('gone')
  })

  it('reports when the last loop was left, but not when loops have ended', async () => {
    const feed = new LatestFeed<number>(allLeft)
    const [first, second] = [feed.read(), feed.read()]
    await first.return?.()
    expect(allLeft).not.toHaveBeenCalled()
    await second.return?.()
    await second.return?.()
    expect(allLeft).toHaveBeenCalledTimes(1)
    const other = new LatestFeed<number>(allLeft)
    const reader = other.read()
    other.end(undefined)
    await reader.return?.()
    expect(allLeft).toHaveBeenCalledTimes(1)
  })

  it('passes nothing to a loop that was left', async () => {
    const feed = new LatestFeed<number>(allLeft)
    const reader = feed.read()
    const waiting = reader.next()
    expect(await reader.return?.()).toEqual({ done: true, value: undefined })
    expect(await waiting).toEqual({ done: true, value: undefined })
    feed.push([1])
    expect(await reader.next()).toEqual({ done: true, value: undefined })
  })
})
