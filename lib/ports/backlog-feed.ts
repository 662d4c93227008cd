/** Distributes records to any number of `for await` loops. Each has its own queue, up to a limit. */

type Taken<T> = IteratorResult<T, undefined>

interface PendingTake<T> {
  readonly resolve: (result: Taken<T>) => void
  readonly reject: (error: unknown) => void
}

export class BacklogFeed<T> {
  readonly #limit: number
  readonly #loops = new Set<Loop<T>>()
  readonly #allLeft: () => void
  #ended = false
  #error: unknown
  #skipped = 0

  /**
   * @param limit the most records that a loop has not taken yet
   * @param allLeft called when the last loop has ended
   */
  constructor(limit: number, allLeft: () => void) {
    this.#limit = limit
    this.#allLeft = allLeft
  }

  /** The records that a loop did not get because its queue was full. */
  get skipped(): number {
    return this.#skipped
  }

  push(record: T): void {
    for (const loop of this.#loops) if (!loop.push(record, this.#limit)) this.#skipped++
  }

  /** Loops end after what is in their queues. @param error undefined if it ended without one */
  end(error: unknown): void {
    this.#ended = true
    this.#error = error
    for (const loop of this.#loops) loop.end(error)
    this.#loops.clear()
  }

  read(): AsyncIterator<T, undefined> {
    const loop = new Loop<T>((left) => {
      if (this.#loops.delete(left) && this.#loops.size === 0) this.#allLeft()
    })
    if (this.#ended) loop.end(this.#error)
    else this.#loops.add(loop)
    return loop
  }
}

class Loop<T> implements AsyncIterator<T, undefined> {
  readonly #leave: (loop: Loop<T>) => void
  readonly #waiting: PendingTake<T>[] = []
  #queue: T[] = []
  /** The records of `#queue` before this index are taken. */
  #next = 0
  #ended = false
  #error: unknown

  constructor(leave: (loop: Loop<T>) => void) {
    this.#leave = leave
  }

  /** Returns false if the queue is full. */
  push(record: T, limit: number): boolean {
    const waiting = this.#waiting.shift()
    if (waiting !== undefined) waiting.resolve({ done: false, value: record })
    else if (this.#queue.length - this.#next >= limit) return false
    else this.#queue.push(record)
    return true
  }

  end(error: unknown): void {
    this.#ended = true
    this.#error = error
    for (const waiting of this.#waiting.splice(0)) this.#finish(waiting)
  }

  next(): Promise<Taken<T>> {
    return new Promise((resolve, reject) => {
      if (this.#next < this.#queue.length) resolve({ done: false, value: this.#take() })
      else if (this.#ended) this.#finish({ resolve, reject })
      else this.#waiting.push({ resolve, reject })
    })
  }

  return(): Promise<Taken<T>> {
    this.#queue = []
    this.#next = 0
    this.#leave(this)
    this.end(undefined)
    return Promise.resolve({ done: true, value: undefined })
  }

  #take(): T {
    const value = this.#queue[this.#next++] as T
    // Half of the queue is taken: the cost of moving the rest is that of the records taken.
    if (this.#next * 2 >= this.#queue.length) {
      this.#queue = this.#queue.slice(this.#next)
      this.#next = 0
    }
    return value
  }

  /** Throws an error once. The loop is over after that. */
  #finish({ resolve, reject }: PendingTake<T>): void {
    const error = this.#error
    this.#error = undefined
    if (error === undefined) resolve({ done: true, value: undefined })
    else reject(error)
  }
}
