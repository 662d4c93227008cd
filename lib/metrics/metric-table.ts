/** The table of the metrics. */
import { fallbackCodes } from '../close/fallback'
import { closeTotals } from '../close/tally'
import { endpoint } from '../connect/address'
import { portWaitTotals } from '../connect/port-queue'
import { plainAddress } from '../kernel/addresses'
import { countSockets } from '../ports/count-sockets'
import { timeWaitCount } from '../ports/time-wait-count'
import type { PortReport } from '../ports/port-report'
import type { PortWatch } from '../ports/watch'
import type { CheckedMetrics } from './metrics-options'

/** A value with its labels. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface Metric {
  readonly name: string
  readonly kind: 'Counter' | 'Gauge'
  readonly help: string
  readonly labels: readonly string[]
  readonly read: (options: CheckedMetrics) => readonly Sample[] | Promise<readonly Sample[]>
  /** Exists only with a watch. */
  readonly watched?: true
}

const OTHER = 'other'

export const rows: readonly Metric[] = [
  {
    name: 'closes_total',
    kind: 'Counter',
    help: 'Connections closed, by the close mode that was used.',
    labels: ['mode'],
    read: () =>
      Object.entries(closeTotals().closes).map(([mode, value]) => ({ labels: { mode }, value })),
  },
  {
    name: 'close_fallbacks_total',
    kind: 'Counter',
    help: 'Closes that could not use their mode, by cause.',
    labels: ['code'],
    read: fallbacks,
  },
  total('time_wait_left_total', 'Closes that left a TIME_WAIT entry on this side.', 'timeWaitLeft'),
  total('discarded_bytes_total', 'Written bytes that closes discarded.', 'discardedBytes'),
  total(
    'unread_bytes_total',
    'Received bytes that the program had not read before the close.',
    'unreadBytes',
  ),
  {
    name: 'port_waits_total',
    kind: 'Counter',
    help: 'Connections that waited for a port (portWaitMs), by how that ended.',
    labels: ['outcome'],
    read: portWaits,
  },
  {
    name: 'port_waiting_connections',
    kind: 'Gauge',
    help: 'Connections that wait for a port (portWaitMs).',
    labels: [],
    read: () => [{ labels: {}, value: portWaitTotals().waiting }],
  },
  {
    name: 'time_wait_sockets',
    kind: 'Gauge',
    help: 'Sockets of this network namespace in TIME_WAIT, by destination.',
    labels: ['destination'],
    read: timeWait,
  },
  {
    name: 'watch_up',
    kind: 'Gauge',
    help: '1 while the watch runs and its last reading succeeded, else 0. The gauges of ports exist only while it is 1.',
    labels: [],
    watched: true,
    read: ({ watch }) => [{ labels: {}, value: Number(isCurrent(watch)) }],
  },
  {
    name: 'watch_failed_readings_total',
    kind: 'Counter',
    help: 'Failed readings of the watch.',
    labels: [],
    watched: true,
    read: ({ watch }) => [{ labels: {}, value: watch?.failedReadings ?? 0 }],
  },
  {
    name: 'watch_last_reading_timestamp_seconds',
    kind: 'Gauge',
    help: 'Time of the last successful reading of the watch, in seconds since the epoch.',
    labels: ['destination', 'source'],
    watched: true,
    read: ({ watch }) => samplesOf(watch, ({ time }) => time / 1000),
  },
  port('ports', 'Ports that connect() can use.', ({ ports }) => ports),
  port('ports_used', 'Ports in use, TIME_WAIT included.', ({ used }) => used),
  port('ports_available', 'Connections that can be made now.', ({ available }) => available),
  port(
    'ports_exhaustion_seconds',
    'Seconds until no port is left, at the current rate.',
    ({ secondsUntilExhaustion }) => secondsUntilExhaustion ?? Infinity,
  ),
  port('connections_per_second', 'Ports taken per second.', ({ rate }) => rate),
  port(
    'connect_duration_seconds',
    'Median time that connect() held the event loop.',
    ({ connectMicroseconds, probeMicroseconds }) => {
      const microseconds = connectMicroseconds ?? probeMicroseconds
      return microseconds === undefined ? undefined : microseconds / 1e6
    },
  ),
]

/** Reports every code, also those at 0: a counter that first appears at 1 has no rate. */
function fallbacks(): Sample[] {
  const counts: Readonly<Record<string, number>> = closeTotals().fallbacks
  return Object.keys(fallbackCodes).map((code) => ({ labels: { code }, value: counts[code] ?? 0 }))
}

function portWaits(): Sample[] {
  const { served, expired, abandoned } = portWaitTotals()
  const outcomes = Object.entries({ served, expired, abandoned })
  return outcomes.map(([outcome, value]) => ({ labels: { outcome }, value }))
}

function total(
  name: string,
  help: string,
  field: 'timeWaitLeft' | 'discardedBytes' | 'unreadBytes',
): Metric {
  const read = (): Sample[] => [{ labels: {}, value: closeTotals()[field] }]
  return { name, kind: 'Counter', help, labels: [], read }
}

function port(
  name: string,
  help: string,
  valueOf: (report: PortReport) => number | undefined,
): Metric {
  return {
    name,
    kind: 'Gauge',
    help,
    labels: ['destination', 'source'],
    watched: true,
    read: ({ watch }) => samplesOf(watch, valueOf),
  }
}

/** Whether the last reading is current: not for a watch that has ended, or whose last reading failed. */
function isCurrent(watch: PortWatch | undefined): watch is PortWatch {
  return watch?.running === true && watch.failure === undefined && watch.latest.length > 0
}

/** Two destinations of a watch may have the same labels, for example with different port ranges: the first counts. */
function samplesOf(
  watch: PortWatch | undefined,
  valueOf: (report: PortReport) => number | undefined,
): Sample[] {
  const samples = new Map<string, Sample>()
  if (!isCurrent(watch)) return []
  for (const report of watch.latest) {
    const value = valueOf(report)
    const destination = endpoint(report.remoteAddress, report.remotePort)
    const key = `${destination} ${report.localAddress}`
    if (value === undefined || samples.has(key)) continue
    samples.set(key, { labels: { destination, source: report.localAddress }, value })
  }
  return [...samples.values()]
}

/** Empty where the sockets cannot be counted, for example without a free descriptor: the other metrics remain. */
async function timeWait({ maxDestinations }: CheckedMetrics): Promise<Sample[]> {
  try {
    if (maxDestinations > 0) return await timeWaitByDestination(maxDestinations)
    return [{ labels: { destination: OTHER }, value: timeWaitCount() }]
  } catch {
    return []
  }
}

/** A destination with one entry may be a client of a server here, and gets no label. */
async function timeWaitByDestination(maxDestinations: number): Promise<Sample[]> {
  const { total: all, groups } = await countSockets({
    states: ['TIME_WAIT'],
    groupBy: ['remoteAddress', 'remotePort'],
    limit: maxDestinations,
  })
  const greatest = groups.filter(({ count }) => count > 1)
  // IPv6 sockets with an IPv4 peer are a separate group for the same destination.
  const byDestination = new Map<string, number>()
  for (const { count, remoteAddress = '', remotePort = 0 } of greatest) {
    const destination = endpoint(plainAddress(remoteAddress), remotePort)
    byDestination.set(destination, (byDestination.get(destination) ?? 0) + count)
  }
  const rest = all - greatest.reduce((sum, { count }) => sum + count, 0)
  const samples = Array.from(byDestination, ([destination, value]) => ({
    labels: { destination },
    value,
  }))
  return [...samples, { labels: { destination: OTHER }, value: rest }]
}
