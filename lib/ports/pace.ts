/** How often a watch looks. */

/** What of a look can be measured may take this share of a core; all of it is some 2.4 times that. */
const MOST_OF_A_CORE = 0.004
/** What a look costs is the least of so many: the others were held up. */
const COSTS_KEPT = 5
/** A look that a warning needs comes no sooner than after this share of the pause that is due. */
const SOONEST = 0.25

/**
 * Pauses between looks, each counted from the beginning of the last look, so that the looks together take no
 * more than their share of a core. Where a look costs much the pauses are long, and a warning would come late: a
 * look may be taken sooner for it, and later pauses make up for the time, up to one whole pause.
 */
export class Pace {
  readonly #intervalMs: number
  readonly #costs: number[] = []
  #owedMs = 0

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs
  }

  /**
   * The pause after a look, ms.
   *
   * @param costMs processor time that the look took
   * @param warningMs when a warning is foreseen, counted from now; Infinity where none is
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
