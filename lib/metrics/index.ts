/** `socket-tuner/metrics`: closes, TIME_WAIT and ports for prom-client. */
import { Metrics, type RegisteredMetrics } from './metrics'
import { checkMetrics, type MetricsOptions } from './options'
import type { PromClient } from './prom-client'

export type { RegisteredMetrics } from './metrics'
export type { MetricsOptions } from './options'
export type { MetricConfiguration, PromClient, PromMetric, PromRegistry } from './prom-client'

/**
 * Registers gauges and counters with prom-client. They are computed when they are scraped; nothing
 * runs in between.
 *
 * - `socket_tuner_closes_total{mode}`, `socket_tuner_close_fallbacks_total{code}`, `socket_tuner_time_wait_left_total`,
 *   `socket_tuner_discarded_bytes_total`, `socket_tuner_unread_bytes_total`: what all closes of this
 *   thread came to, as closeTotals() has it.
 * - `socket_tuner_time_wait_sockets{destination}`: sockets of this network namespace in TIME_WAIT, for
 *   the `maxDestinations` greatest destinations; the others together as `other`, and with them those
 *   of servers. The sum is the number of all. Linux.
 * - With a `watch`, for each of its destinations, labelled `destination` and `source`:
 *   `socket_tuner_ports`, `socket_tuner_ports_used`, `socket_tuner_ports_available`,
 *   `socket_tuner_ports_exhaustion_seconds` (+Inf when that will not be),
 *   `socket_tuner_connections_per_second`, `socket_tuner_connect_duration_seconds` (the median of what
 *   connect() took on the event loop; without calls, what a probe that sends nothing took), and
 *   `socket_tuner_watch_last_look_timestamp_seconds`. They are there while the watch runs and its last
 *   look was good, which `socket_tuner_watch_up` says; `socket_tuner_watch_failed_looks_total` counts the
 *   looks that were not.
 *
 * @param client what `require('prom-client')` gives; 14 and later
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE (also where a name is registered already),
 *   ERR_OUT_OF_RANGE, ERR_SOCKET_TUNER_UNKNOWN_OPTION; nothing is registered then
 */
export function registerMetrics(
  client: PromClient,
  options: MetricsOptions = {},
): RegisteredMetrics {
  return new Metrics(client, checkMetrics(client, options))
}
