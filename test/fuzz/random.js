'use strict'

/** Numbers that look random and are the same for the same seed (xorshift32). */
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

  /** True once in `times`. */
  once(times) {
    return this.below(times) === 0
  }

  pick(list) {
    return list[this.below(list.length)]
  }
}

module.exports = { Random }
