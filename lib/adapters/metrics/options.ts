import { ArgumentTypeError, ArgumentValueError, checkOptions, checkWhole } from '../../errors'
import type { PortWatch } from '../../ports/watch'
import type { PromClient, PromRegistry } from './prom-client'

export interface MetricsOptions {
  /** Default prom-client's own, `client.register`. */
  registry?: PromRegistry | undefined
  /** The watch whose last look is published, while that is a good one. The caller stops it. */
  watch?: PortWatch | undefined
  /** In front of every name. Default `socket_tuner_`. */
  prefix?: string | undefined
  /** Destinations that TIME_WAIT is told of one by one: 0 to 1,000. Default 20. */
  maxDestinations?: number | undefined
}

export interface CheckedMetrics {
  readonly registry: PromRegistry
  readonly watch: PortWatch | undefined
  readonly prefix: string
  readonly maxDestinations: number
}

const PREFIX = 'socket_tuner_'
const DESTINATIONS = 20
const MOST_DESTINATIONS = 1_000

/** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE */
export function checkMetrics(client: PromClient, options: MetricsOptions): CheckedMetrics {
  checkOptions('client', client)
  for (const name of ['Gauge', 'Counter'] as const) {
    if (typeof client[name] !== 'function')
      throw new ArgumentTypeError('client', 'the module prom-client', client)
  }
  checkOptions('options', options)
  const { registry = client.register, watch, prefix = PREFIX, maxDestinations } = options
  checkOptions('options.registry', registry)
  if (typeof registry.getSingleMetric !== 'function')
    throw new ArgumentTypeError('options.registry', 'a Registry of prom-client', registry)
  if (watch !== undefined) {
    checkOptions('options.watch', watch)
    if (!Array.isArray(watch.latest) || typeof watch.running !== 'boolean')
      throw new ArgumentTypeError('options.watch', 'a watch that watchPorts() gave', watch)
  }
  if (typeof prefix !== 'string')
    throw new ArgumentTypeError('options.prefix', 'of type string', prefix)
  if (!/^[A-Za-z_:][A-Za-z0-9_:]*$/.test(prefix)) {
    throw new ArgumentValueError('options.prefix', 'must be the beginning of a metric name', prefix)
  }
  const most = maxDestinations ?? DESTINATIONS
  checkWhole('options.maxDestinations', most, 0, MOST_DESTINATIONS)
  return { registry, watch, prefix, maxDestinations: most }
}
