/** Distributes batches to any number of `for await` loops. A slow loop gets the newest batch, not a queue. */

type Result<T> = IteratorResult<T, undefined>

interface PendingRead<T> {
  readonly resolve: (result: Result<T>) => void
  readonly reject: (error: unknown) => void
}

export class LatestFeed<T> {
  readonly #readers = new Set<Reader<T>>()
  readonly #allLeft: () => void
  #ended = false
  #error: unknown

  /** @param allLeft called when the last loop has ended */
  constructor(allLeft: () => void) {
    this.#allLeft = allLeft
  }

  push(batch: readonly T[]): void {
    for (const reader of this.#readers) reader.push(batch)
  }

  /** @param error undefined if it ended without one */
  end(error: unknown): void {
    this.#ended = true
    this.#error = error
    for (const reader of this.#readers) reader.end(error)
    this.#readers.clear()
  }

  read(): AsyncIterator<T, undefined> {
    const reader = new Reader<T>((left) => {
      if (this.#readers.delete(left) && this.#readers.size === 0) this.#allLeft()
    })
    if (this.#ended) reader.end(this.#error)
    else this.#readers.add(reader)
    return reader
  }
}

class Reader<T> implements AsyncIterator<T, undefined> {
  readonly #leave: (reader: Reader<T>) => void
  readonly #waiting: PendingRead<T>[] = []
  #batch: T[] = []
  #ended = false
  #error: unknown

  constructor(leave: (reader: Reader<T>) => void) {
    this.#leave = leave
  }

  push(batch: readonly T[]): void {
    this.#batch = [...batch]
    while (this.#waiting.length > 0) {
      const value = this.#batch.shift()
      if (value === undefined) return
      this.#waiting.shift()?.resolve({ done: false, value })
    }
  }

  end(error: unknown): void {
    this.#ended = true
    this.#error = error
    for (const waiting of this.#waiting.splice(0)) this.#finish(waiting)
  }

  next(): Promise<Result<T>> {
    return new Promise((resolve, reject) => {
      const value = this.#batch.shift()
      if (value !== undefined) resolve({ done: false, value })
      else if (this.#ended) this.#finish({ resolve, reject })
      else this.#waiting.push({ resolve, reject })
    })
  }

  return(): Promise<Result<T>> {
    this.#batch = []
    this.#leave(this)
    this.end(undefined)
    return Promise.resolve({ done: true, value: undefined })
  }

  /** Throws an error once. The loop is over after that. */
  #finish({ resolve, reject }: PendingRead<T>): void {
    const error = this.#error
    this.#error = undefined
    if (error === undefined) resolve({ done: true, value: undefined })
    else reject(error)
  }
}
