/** Measures the rate at which ports are taken, from one snapshot to the next. */
import type { Rates } from './budget'
import type { Snapshot } from './snapshot'

/** The period of the average. The last two snapshots count even if they are further apart. */
const WINDOW_MS = 10_000
/** Growth below 3 standard deviations counts as 0. */
const SIGNIFICANT = 3

interface Step {
  readonly ms: number
  readonly taken: number
  readonly moreLive: number
}

export class RateLearner {
  #last: Snapshot | undefined
  readonly #steps: Step[] = []

  /** Undefined until there are two snapshots of the same range. */
  learn(snapshot: Snapshot): Rates | undefined {
    const last = this.#last
    this.#last = snapshot
    const { min, max } = snapshot.ports.range
    if (last === undefined) return undefined
    if (last.ports.range.min !== min || last.ports.range.max !== max) {
      // The range has changed, so the earlier steps are about other ports.
      this.#steps.length = 0
      return undefined
    }
    const ms = snapshot.at - last.at
    this.#steps.push({ ms, ...snapshot.ports.changesSince(last.ports, ms) })
    this.#forget()
    const span = sum(this.#steps, 'ms')
    const moreLive = sum(this.#steps, 'moreLive')
    const taken = sum(this.#steps, 'taken')
    if (span <= 0) return undefined
    // The number of random events has a standard deviation of its square root.
    const grows = moreLive > SIGNIFICANT * Math.sqrt(taken + 1)
    return { rate: (1000 * taken) / span, growth: grows ? (1000 * moreLive) / span : 0 }
  }

  #forget(): void {
    let span = sum(this.#steps, 'ms')
    while (this.#steps.length > 1) {
      span -= this.#steps[0]?.ms ?? 0
      if (span < WINDOW_MS) return
      this.#steps.shift()
    }
  }
}

function sum(steps: readonly Step[], field: keyof Step): number {
  return steps.reduce((total, step) => total + step[field], 0)
}
