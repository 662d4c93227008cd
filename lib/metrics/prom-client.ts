/** The types of prom-client that are used here, so that its package is needed only by those who use it. */

export interface PromRegistry {
  getSingleMetric(name: string): unknown
  removeSingleMetric(name: string): void
}

export interface MetricConfiguration {
  name: string
  help: string
  labelNames: string[]
  registers: never[]
  collect: (this: PromMetric) => void | Promise<void>
}

export interface PromClient {
  readonly Gauge: new (configuration: MetricConfiguration) => unknown
  readonly Counter: new (configuration: MetricConfiguration) => unknown
  readonly register: PromRegistry
}

/** The methods that gauges and counters share. */
export interface PromMetric {
  reset(): void
  inc(labels: Readonly<Record<string, string>>, value: number): void
}
