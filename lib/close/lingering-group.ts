/**
 * Connections that linger at the same time. Each holds a descriptor, and peers that are slow on purpose
 * could make them any number: above a limit the one that has lingered longest is ended.
 */
export class LingeringGroup {
  /** In the order in which they came. */
  readonly #ends = new Set<() => void>()
  #evicted = 0

  /** How many there are now. */
  get size(): number {
    return this.#ends.size
  }

  /** How many were ended to make room. */
  get evicted(): number {
    return this.#evicted
  }

  /** Adds a connection, which `end` ends and removes; those that are too many are ended. */
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

/** Of sockets that have the mode by themselves. */
export const ofThisThread = new LingeringGroup()
