/**
 * Connections that linger at the same time. Each holds a descriptor, and peers that are slow on purpose could
 * accumulate any number of them. Above a limit, the one that has lingered longest is ended.
 */
export class LingeringGroup {
  /** Oldest first. */
  readonly #ends = new Set<() => void>()
  #evicted = 0

  /** Connections that linger now. */
  get size(): number {
    return this.#ends.size
  }

  /** Connections that were ended to make room. */
  get evicted(): number {
    return this.#evicted
  }

  /** Adds a connection, which `end` ends and removes. Ends the oldest ones above the limit. */
  add(end: () => void, limit: number): void {
    for (const oldest of this.#ends) {
      if (this.#ends.size < limit) break
      this.#ends.delete(oldest)
      this.#evicted++
      oldest()
    }
    this.#ends.add(end)
  }

  remove(end: () => void): void {
    this.#ends.delete(end)
  }
}

/** For sockets that no server has given its mode. */
export const ofThisThread = new LingeringGroup()
