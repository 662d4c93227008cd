'use strict'

/** A pseudo-random number generator with a seed (xorshift32). */
class Random {
  #state

  constructor(seed) {
    this.seed = seed
    this.#state = seed | 0 || 1
  }

  /** A whole number from 0 to `end` - 1. */
  below(end) {
    this.#state ^= this.#state << 13
    this.#state ^= this.#state >>> 17
    this.#state ^= this.#state << 5
    return (this.#state >>> 0) % end
  }

  /** Returns true once in `times` calls on average. */
  once(times) {
    return this.below(times) === 0
  }

  pick(list) {
    return list[this.below(list.length)]
  }
}

module.exports = { Random }
