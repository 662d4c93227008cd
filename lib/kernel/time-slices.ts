import { setImmediate as nextTurn } from 'node:timers/promises'

/** Work on the event loop yields after 1 ms. */
const YIELD_AFTER_MS = 1

/** Divides long work on the event loop, and measures it. */
export class TimeSlices {
  #busyMs = 0
  #resumed = performance.now()
  #used = process.cpuUsage()

  /** The processor time that the work took so far, ms: not more than the time that passed. */
  get busyMs(): number {
    return this.#busyMs + this.#spent(performance.now() - this.#resumed)
  }

  /** Returns a promise to wait for, once the work has taken 1 ms; otherwise undefined. */
  pause(): Promise<void> | undefined {
    const spent = performance.now() - this.#resumed
    return spent < YIELD_AFTER_MS ? undefined : this.#yield(spent)
  }

  async #yield(spent: number): Promise<void> {
    this.#busyMs += this.#spent(spent)
    await nextTurn()
    this.#resumed = performance.now()
    this.#used = process.cpuUsage()
  }

  #spent(passed: number): number {
    const { user, system } = process.cpuUsage(this.#used)
    return Math.min(passed, (user + system) / 1000)
  }
}
