/** The metrics: one row for each. */
import { fallbackCodes } from '../close/fallback'
import { closeTotals } from '../close/tally'
import { endpoint } from '../connect/address'
import { plainAddress } from '../kernel/addresses'
import { countSockets } from '../ports/count-sockets'
import { timeWaitCount } from '../ports/time-wait-count'
import type { PortReport } from '../ports/report'
import type { PortWatch } from '../ports/watch'
import type { CheckedMetrics } from './options'

/** One value and the labels that it stands under. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface Row {
  readonly name: string
  readonly kind: 'Counter' | 'Gauge'
  readonly help: string
  readonly labels: readonly string[]
  readonly read: (options: CheckedMetrics) => readonly Sample[] | Promise<readonly Sample[]>
  /** Only with a watch. */
  readonly watched?: true
}

const OTHER = 'other'

export const rows: readonly Row[] = [
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
    help: 'Closes that did not go as they were asked to, by cause.',
    labels: ['code'],
    read: fallbacks,
  },
  total('time_wait_left_total', 'Closes that left a TIME_WAIT entry on this side.', 'timeWaitLeft'),
  total('discarded_bytes_total', 'Bytes written and thrown away by closes.', 'discardedBytes'),
  total(
    'unread_bytes_total',
    'Bytes received that no program read before the close.',
    'unreadBytes',
  ),
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
    help: '1 while the watch runs and its last look was good, else 0; the gauges of ports are there then only.',
    labels: [],
    watched: true,
    read: ({ watch }) => [{ labels: {}, value: Number(isCurrent(watch)) }],
  },
  {
    name: 'watch_failed_looks_total',
    kind: 'Counter',
    help: 'Looks of the watch that failed.',
    labels: [],
    watched: true,
    read: ({ watch }) => [{ labels: {}, value: watch?.failedLooks ?? 0 }],
  },
  {
    name: 'watch_last_look_timestamp_seconds',
    kind: 'Gauge',
    help: 'When the last good look of the watch was, in seconds since the epoch.',
    labels: ['destination', 'source'],
    watched: true,
    read: ({ watch }) => samplesOf(watch, ({ time }) => time / 1000),
  },
  port('ports', 'Ports that can be connected from.', ({ ports }) => ports),
  port('ports_used', 'Ports in use, TIME_WAIT included.', ({ used }) => used),
  port('ports_available', 'Connections that can be made now.', ({ available }) => available),
  port(
    'ports_exhaustion_seconds',
    'Seconds until no port is left at the present rate.',
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

/** Each from 0 on: of a counter that begins with 1 no rate can be told. */
function fallbacks(): Sample[] {
  const counts: Readonly<Record<string, number>> = closeTotals().fallbacks
  return Object.keys(fallbackCodes).map((code) => ({ labels: { code }, value: counts[code] ?? 0 }))
}

function total(
  name: string,
  help: string,
  field: 'timeWaitLeft' | 'discardedBytes' | 'unreadBytes',
): Row {
  const read = (): Sample[] => [{ labels: {}, value: closeTotals()[field] }]
  return { name, kind: 'Counter', help, labels: [], read }
}

function port(
  name: string,
  help: string,
  valueOf: (report: PortReport) => number | undefined,
): Row {
  return {
    name,
    kind: 'Gauge',
    help,
    labels: ['destination', 'source'],
    watched: true,
    read: ({ watch }) => samplesOf(watch, valueOf),
  }
}

/** A watch that has ended, or whose last look failed, knows nothing of now. */
function isCurrent(watch: PortWatch | undefined): watch is PortWatch {
  return watch?.running === true && watch.failure === undefined && watch.latest.length > 0
}

/** Two destinations of a watch may have the same ends and differ in what the labels do not say. */
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

/** Where it cannot be told, as without a free descriptor, the other metrics are told all the same. */
async function timeWait({ maxDestinations }: CheckedMetrics): Promise<Sample[]> {
  try {
    if (maxDestinations > 0) return await timeWaitByDestination(maxDestinations)
    return [{ labels: { destination: OTHER }, value: timeWaitCount() }]
  } catch {
    return []
  }
}

/** A destination of one entry may be a server's client: it is not worth a label. */
async function timeWaitByDestination(maxDestinations: number): Promise<Sample[]> {
  const { total: all, groups } = await countSockets({
    states: ['TIME_WAIT'],
    groupBy: ['remoteAddress', 'remotePort'],
    limit: maxDestinations,
  })
  const greatest = groups.filter(({ count }) => count > 1)
  // IPv6 sockets with an IPv4 peer are a group of their own, and go to the same destination.
  const told = new Map<string, number>()
  for (const { count, remoteAddress = '', remotePort = 0 } of greatest) {
    const destination = endpoint(plainAddress(remoteAddress), remotePort)
    told.set(destination, (told.get(destination) ?? 0) + count)
  }
  const rest = all - greatest.reduce((sum, { count }) => sum + count, 0)
  const samples = Array.from(told, ([destination, value]) => ({ labels: { destination }, value }))
  return [...samples, { labels: { destination: OTHER }, value: rest }]
}
