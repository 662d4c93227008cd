/** `socket-tuner/metrics`: closes, TIME_WAIT and ports for prom-client. */
import { Metrics, type RegisteredMetrics } from './metrics'
import { checkMetrics, type MetricsOptions } from './metrics-options'
import type { PromClient } from './prom-client'

export type { RegisteredMetrics } from './metrics'
export type { MetricsOptions } from './metrics-options'
export type { MetricConfiguration, PromClient, PromMetric, PromRegistry } from './prom-client'

/**
 * Registers gauges and counters with prom-client. They are computed at each scrape; nothing runs between
 * scrapes.
 *
 * - `socket_tuner_closes_total{mode}`, `socket_tuner_close_fallbacks_total{code}`,
 *   `socket_tuner_time_wait_left_total`, `socket_tuner_discarded_bytes_total` and
 *   `socket_tuner_unread_bytes_total` are the closeTotals() of this thread.
 * - `socket_tuner_port_waits_total{outcome}` and `socket_tuner_port_waiting_connections` are the
 *   portWaitTotals() of this thread.
 * - `socket_tuner_time_wait_sockets{destination}` counts the sockets of this network namespace in TIME_WAIT.
 *   The `maxDestinations` destinations with the most have a label each; `other` has the rest and the
 *   sockets of servers. The sum is the number of all. Linux.
 * - With a `watch`, each of its destinations has the following gauges, labelled `destination` and `source`:
 *   `socket_tuner_ports`, `socket_tuner_ports_used`, `socket_tuner_ports_available`,
 *   `socket_tuner_ports_exhaustion_seconds` (+Inf if the ports will not run out),
 *   `socket_tuner_connections_per_second`, `socket_tuner_connect_duration_seconds` (the median time that
 *   connect() held the event loop; without calls, the time of a probe that sends nothing) and
 *   `socket_tuner_watch_last_reading_timestamp_seconds`. They exist while `socket_tuner_watch_up` is 1: the
 *   watch runs and its last reading succeeded. `socket_tuner_watch_failed_readings_total` counts failed readings.
 *
 * @param client the module `prom-client`, 14 or later
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE (also if a name is already registered),
 *   ERR_OUT_OF_RANGE, ERR_SOCKET_TUNER_UNKNOWN_OPTION; nothing is registered then
 */
export function registerMetrics(
  client: PromClient,
  options: MetricsOptions = {},
): RegisteredMetrics {
  return new Metrics(client, checkMetrics(client, options))
}
