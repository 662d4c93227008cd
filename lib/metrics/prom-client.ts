/** The parts of prom-client that are used, so that nobody needs the package who does not use it. */

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

/** What both kinds of metric have. */
export interface PromMetric {
  reset(): void
  inc(labels: Readonly<Record<string, string>>, value: number): void
}
