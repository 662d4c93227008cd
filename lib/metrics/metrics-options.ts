import { ArgumentTypeError, ArgumentValueError, checkObject, checkOptions } from '../errors'
import type { PortWatch } from '../ports/watch'
import { custom, spec, whole, type InputOf, type OutputOf } from '../spec'
import type { PromClient, PromRegistry } from './prom-client'

const MOST_DESTINATIONS = 1_000

export const metricsOptions = spec({
  /** The registry for the metrics. Default: that of prom-client, `client.register`. */
  registry: custom<PromRegistry>('a Registry of prom-client', (argument, value) => {
    checkObject(argument, value)
    if (typeof value.getSingleMetric !== 'function')
      throw new ArgumentTypeError(argument, 'a Registry of prom-client', value)
    return value as unknown as PromRegistry
  }),
  /** The watch whose last reading is published. The caller stops it. */
  watch: custom<PortWatch>('a watch of watchPorts()', (argument, value) => {
    checkObject(argument, value)
    if (!Array.isArray(value.latest) || typeof value.running !== 'boolean')
      throw new ArgumentTypeError(argument, 'a watch of watchPorts()', value)
    return value as unknown as PortWatch
  }),
  /** The prefix of every name. Default `socket_tuner_`. */
  prefix: custom<string>('the beginning of a metric name', (argument, value) => {
    if (typeof value !== 'string') throw new ArgumentTypeError(argument, 'of type string', value)
    if (!/^[A-Za-z_:][A-Za-z0-9_:]*$/.test(value))
      throw new ArgumentValueError(argument, 'must be the beginning of a metric name', value)
    return value
  }).default('socket_tuner_'),
  /** The most destinations with a label of their own in `time_wait_sockets`. Default 20. */
  maxDestinations: whole(0, MOST_DESTINATIONS).default(20),
})

export type MetricsOptions = InputOf<typeof metricsOptions>

export type CheckedMetrics = OutputOf<typeof metricsOptions> & { readonly registry: PromRegistry }

/** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_SOCKET_TUNER_UNKNOWN_OPTION */
export function checkMetrics(client: PromClient, options: MetricsOptions): CheckedMetrics {
  checkOptions('client', client)
  for (const name of ['Gauge', 'Counter'] as const) {
    if (typeof client[name] !== 'function')
      throw new ArgumentTypeError('client', 'the module prom-client', client)
  }
  const checked = metricsOptions.check('options', options)
  const registry = metricsOptions.fields.registry.check('client.register', client.register)
  return { ...checked, registry: checked.registry ?? requireRegistry(registry) }
}

function requireRegistry(registry: PromRegistry | undefined): PromRegistry {
  if (registry === undefined)
    throw new ArgumentTypeError('client.register', 'a Registry of prom-client', registry)
  return registry
}
