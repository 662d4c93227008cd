import type { AgentCounters } from '../http'
import type { Events } from './script'

/** What is reported, and under which name in Artillery's reports. */
const names = {
  created: 'socket_tuner.connections.created',
  reused: 'socket_tuner.connections.reused',
  deadBeforeReuse: 'socket_tuner.connections.dead_before_reuse',
  retried: 'socket_tuner.requests.retried',
} as const

const counted = Object.keys(names) as (keyof typeof names)[]

/** Adds to Artillery's counters what an agent's have grown by. */
export class Reporter {
  readonly #read: () => Readonly<AgentCounters>
  readonly #events: Events
  readonly #reported = { created: 0, reused: 0, deadBeforeReuse: 0, retried: 0 }

  constructor(read: () => Readonly<AgentCounters>, events: Events) {
    this.#read = read
    this.#events = events
  }

  report(): void {
    const counters = this.#read()
    for (const key of counted) {
      const grown = counters[key] - this.#reported[key]
      if (grown === 0) continue
      this.#reported[key] += grown
      this.#events.emit('counter', names[key], grown)
    }
  }
}
