/** Measures what a generator does to its own figures. */
import { monitorEventLoopDelay, performance as node } from 'node:perf_hooks'
import type { StressGenerator } from './result'

const RESOLUTION_MS = 10
const NS_PER_MS = 1e6
const MICROSECONDS = 1e6

export class SelfWatch {
  readonly #delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  #utilization = node.eventLoopUtilization()
  #previous = this.#utilization
  #cpu = process.cpuUsage()
  #startMs = performance.now()

  constructor() {
    this.#delay.enable()
  }

  /** Starts the measurement again, after the warm-up. */
  restart(): void {
    this.#delay.reset()
    this.#utilization = node.eventLoopUtilization()
    this.#cpu = process.cpuUsage()
    this.#startMs = performance.now()
  }

  /** The share of the time since the previous call in which the event loop was busy. */
  takeBusy(): number {
    const now = node.eventLoopUtilization()
    const { utilization } = node.eventLoopUtilization(now, this.#previous)
    this.#previous = now
    return utilization
  }

  /** Ends the measurement. */
  stop(): Omit<StressGenerator, 'lag'> {
    const seconds = Math.max(1e-3, (performance.now() - this.#startMs) / 1000)
    const { user, system } = process.cpuUsage(this.#cpu)
    const delay = this.#delay
    delay.disable()
    return {
      eventLoopBusy: node.eventLoopUtilization(this.#utilization).utilization,
      eventLoopDelayMs: {
        mean: delayMs(delay.mean),
        p99: delayMs(delay.percentile(99)),
        max: delayMs(delay.max),
      },
      userCpu: user / MICROSECONDS / seconds,
      systemCpu: system / MICROSECONDS / seconds,
    }
  }

  release(): void {
    this.#delay.disable()
  }
}

/** The histogram has the whole time between two ticks, and nothing before the first one. */
function delayMs(ns: number): number {
  return Number.isFinite(ns) ? Math.max(0, ns / NS_PER_MS - RESOLUTION_MS) : 0
}
