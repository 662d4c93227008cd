/** The metrics: one row for each. */
import { closeTotals } from '../../close/tally'
import { endpoint } from '../../connect/address'
import { timeWaitCensus } from '../../ports/census'
import { timeWaitCount } from '../../ports/time-wait-count'
import type { PortReport } from '../../ports/place-watch'
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
    read: () =>
      Object.entries(closeTotals().fallbacks).map(([code, value]) => ({ labels: { code }, value })),
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
    read: ({ watch }) =>
      (watch?.latest ?? []).flatMap((report) => {
        const value = valueOf(report)
        const destination = endpoint(report.remoteAddress, report.remotePort)
        const labels = { destination, source: report.localAddress }
        return value === undefined ? [] : [{ labels, value }]
      }),
  }
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
  const { total: all, groups } = await timeWaitCensus({ limit: maxDestinations })
  const greatest = groups.filter(({ count }) => count > 1)
  const told = greatest.map(({ count, remoteAddress = '', remotePort = 0 }) => ({
    labels: { destination: endpoint(remoteAddress, remotePort) },
    value: count,
  }))
  const rest = all - greatest.reduce((sum, { count }) => sum + count, 0)
  return [...told, { labels: { destination: OTHER }, value: rest }]
}
