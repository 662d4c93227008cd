/** Decides how often a watch takes a reading. */

/** The share of a core for the measurable part of a reading. The whole of it costs about 2.4 times as much. */
const MOST_OF_A_CORE = 0.004
/** The cost of a reading is the least of the last 5: the others were disturbed. */
const COSTS_KEPT = 5
/** A reading for an expected warning comes no earlier than after this share of the regular pause. */
const SOONEST = 0.25

/**
 * Computes the pauses between readings, each from the start of the previous one, so that the readings together
 * stay within their share of a core. Expensive readings mean long pauses, and late warnings. A reading may
 * therefore come early for an expected warning; later pauses are extended in return, by at most one regular pause.
 */
export class ReadingPace {
  readonly #intervalMs: number
  readonly #costs: number[] = []
  #owedMs = 0

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs
  }

  /**
   * Returns the pause after a reading, ms.
   *
   * @param costMs processor time of the reading
   * @param warningMs time until the next expected warning; Infinity if none is expected
   */
  after(costMs: number, warningMs: number): number {
    this.#costs.push(costMs)
    if (this.#costs.length > COSTS_KEPT) this.#costs.shift()
    const pause = Math.max(this.#intervalMs, Math.min(...this.#costs) / MOST_OF_A_CORE)
    const due = pause + this.#owedMs
    const soonest = Math.max(this.#intervalMs, SOONEST * pause, due - pause)
    const taken = Math.min(due, Math.max(soonest, warningMs))
    this.#owedMs = due - taken
    return taken
  }
}
