import type { ReuseCounters } from '../http'
import type { Events } from './script'

/** The counters, and their names in Artillery's reports. */
const names = [
  ['created', 'socket_tuner.connections.created'],
  ['reused', 'socket_tuner.connections.reused'],
  ['deadBeforeReuse', 'socket_tuner.connections.dead_before_reuse'],
  ['retried', 'socket_tuner.requests.retried'],
] as const

/** Adds the growth of an agent's counters to Artillery's counters. */
export class Reporter {
  readonly #counters: Readonly<ReuseCounters>
  readonly #events: Events
  readonly #reported = { created: 0, reused: 0, deadBeforeReuse: 0, retried: 0 }

  /** @param counters the live counters, since there is a report for each request */
  constructor(counters: Readonly<ReuseCounters>, events: Events) {
    this.#counters = counters
    this.#events = events
  }

  report(): void {
    for (const [key, name] of names) {
      const grown = this.#counters[key] - this.#reported[key]
      if (grown === 0) continue
      this.#reported[key] += grown
      this.#events.emit('counter', name, grown)
    }
  }
}
