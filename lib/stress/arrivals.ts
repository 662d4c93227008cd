/** The intended starts of the requests of an open loop. */
import { WHOLE_RUN, type Share } from './part'

/**
 * The starts of one part of a run. Those of all its parts together have the rate of the run: constant ones take turns,
 * random ones are independent.
 */
export class Arrivals {
  readonly #meanGapMs: number
  readonly #isRandom: boolean
  readonly #random: () => number
  readonly #startMs: number
  readonly #share: Share
  /** The number of the next start among those of all parts, from 0. */
  #number: number
  #nextMs: number

  /**
   * @param ratePerSecond that of all parts
   * @param random returns a number of [0, 1)
   */
  constructor(
    ratePerSecond: number,
    kind: 'constant' | 'poisson',
    startMs: number,
    random: () => number = Math.random,
    share: Share = WHOLE_RUN,
  ) {
    this.#meanGapMs = 1000 / ratePerSecond
    this.#isRandom = kind === 'poisson'
    this.#random = random
    this.#startMs = startMs
    this.#share = share
    this.#number = share.index
    this.#nextMs = this.#isRandom ? startMs + this.#gap() : this.#constant()
  }

  /** The next start, ms of performance.now(). */
  get nextMs(): number {
    return this.#nextMs
  }

  /** Returns the next start and proceeds to the one after it. */
  take(): number {
    const taken = this.#nextMs
    this.#number += this.#share.count
    this.#nextMs = this.#isRandom ? taken + this.#gap() : this.#constant()
    return taken
  }

  /** The sum of many gaps would drift from the rate. */
  #constant(): number {
    return this.#startMs + this.#number * this.#meanGapMs
  }

  /** Exponential, as between the events of a Poisson process. */
  #gap(): number {
    return -Math.log(1 - this.#random()) * this.#meanGapMs * this.#share.count
  }
}
