/** Counts the closes of a part, and waits for those that are complete only when the target has finished. */
import { connectorOf, type Connector } from '../connect/connector'
import type { CheckedTuning } from '../connect/tuning'
import type { StressCloses } from './result'

export class CloseWatch {
  /** Opens the connections whose closes are counted. */
  readonly connector: Connector
  #closed = 0
  #whenComplete: (() => void) | undefined

  constructor(tuning: CheckedTuning) {
    this.connector = connectorOf(tuning, () => {
      this.#check()
    })
  }

  /** @param closed the connections that are closed for the program; each has begun one close */
  totals(closed: number): StressCloses {
    const totals = this.connector.counters()
    const complete = Object.values(totals.closes).reduce((sum, count) => sum + count, 0)
    return { ...totals, underWay: Math.max(0, closed - complete) }
  }

  /** Resolves when no close is under way. @param closed as for {@link totals} */
  complete(closed: number): Promise<void> {
    this.#closed = closed
    return new Promise((resolve) => {
      this.#whenComplete = resolve
      this.#check()
    })
  }

  #check(): void {
    if (this.#whenComplete === undefined || this.totals(this.#closed).underWay > 0) return
    this.#whenComplete()
    this.#whenComplete = undefined
  }
}
