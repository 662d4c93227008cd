/** Values that come one after the other, for any number of readers. Each of them gets all values from the first on. */
export class Feed<T> implements AsyncIterable<T> {
  readonly values: T[] = []
  readonly #over: Promise<unknown>
  #isOver = false
  #wake: (() => void)[] = []

  /** @param over settles when no more values come; readers reject as it does */
  constructor(over: Promise<unknown>) {
    this.#over = over
    const end = (): void => {
      this.#isOver = true
      this.#notify()
    }
    over.then(end, end)
  }

  push(value: T): void {
    this.values.push(value)
    this.#notify()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (let at = 0; ; at++) {
      while (at >= this.values.length && !this.#isOver)
        await new Promise<void>((resolve) => this.#wake.push(resolve))
      // A value may be undefined.
      if (at >= this.values.length) break
      yield this.values[at] as T
    }
    await this.#over
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }
}
