/** Registers the rows of the table. */
import { ArgumentValueError } from '../errors'
import type { CheckedMetrics } from './metrics-options'
import type { PromClient } from './prom-client'
import { rows, type Metric } from './metric-table'

/** The registered metrics. */
export interface RegisteredMetrics extends Disposable {
  /** The names, with their prefix. */
  readonly names: readonly string[]
  /** Removes the metrics from the registry. May be called twice. */
  stop(): void
}

export class Metrics implements RegisteredMetrics {
  readonly names: readonly string[]
  readonly #options: CheckedMetrics
  #stopped = false

  constructor(client: PromClient, options: CheckedMetrics) {
    this.#options = options
    const { registry, prefix, watch } = options
    const wanted = rows.filter((row) => row.watched !== true || watch !== undefined)
    this.names = wanted.map(({ name }) => prefix + name)
    const taken = this.names.find((name) => registry.getSingleMetric(name) !== undefined)
    if (taken !== undefined)
      throw new ArgumentValueError(
        'options.prefix',
        `results in ${taken}, which is already registered`,
        prefix,
      )
    for (const row of wanted) this.#register(client, row)
  }

  stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    for (const name of this.names) this.#options.registry.removeSingleMetric(name)
  }

  [Symbol.dispose](): void {
    this.stop()
  }

  #register(client: PromClient, { name, kind, help, labels, read }: Metric): void {
    const options = this.#options
    new client[kind]({
      name: options.prefix + name,
      help,
      labelNames: [...labels],
      registers: [options.registry as never],
      async collect() {
        const samples = await read(options)
        // Removes the labels that are no longer reported. Counters start at 0 again and get their full value.
        this.reset()
        for (const sample of samples) this.inc(sample.labels, sample.value)
      },
    })
  }
}
