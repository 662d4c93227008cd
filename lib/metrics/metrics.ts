/** Puts the rows of the table into a registry. */
import { ArgumentValueError } from '../errors'
import type { CheckedMetrics } from './options'
import type { PromClient } from './prom-client'
import { rows, type Row } from './table'

/** Metrics that are registered. */
export interface RegisteredMetrics extends Disposable {
  /** Their names, as they are registered. */
  readonly names: readonly string[]
  /** Takes them out of the registry. May be called twice. */
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
        `gives ${taken}, which is registered already`,
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

  #register(client: PromClient, { name, kind, help, labels, read }: Row): void {
    const options = this.#options
    new client[kind]({
      name: options.prefix + name,
      help,
      labelNames: [...labels],
      registers: [options.registry as never],
      async collect() {
        const samples = await read(options)
        // What is told no more is to be gone, and a counter is given its whole.
        this.reset()
        for (const sample of samples) this.inc(sample.labels, sample.value)
      },
    })
  }
}
