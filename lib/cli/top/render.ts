/** Renders the view as text. */
import { endpoint } from '../../connect/address'
import type { PortReport } from '../../ports/port-report'
import { cut, paint, sparkline, type Look } from '../look'
import { align, count } from '../text'
import { WARN_AT, type TopRow, type View } from './top-source'

const SIDES = 'lllrrrrrrrrl'
const HEAD = [
  '',
  'destination',
  'from',
  'used',
  'TIME_WAIT',
  'left',
  'of',
  'new/s',
  'slow in',
  'none in',
  'connect',
  'fill',
]
const TROUBLE = '!'
const SPARKS = 20
const MINUTE_S = 60
const HOUR_S = 3600

export function render(view: View, look: Look): string[] {
  const time = new Date(view.time).toTimeString().slice(0, 8)
  const title = `${time}  ${count(view.timeWait)} in TIME_WAIT${atServers(view)}`
  if (view.rows.length === 0) {
    return [title, '', 'No destination has more than one connection.'].map((line) =>
      cut(line, look),
    )
  }
  const [head = '', ...lines] = align([HEAD, ...view.rows.map((row) => cells(row, look))], SIDES)
  return [
    cut(title, look),
    '',
    paint(cut(head, look), 'bold', look),
    ...lines.map((line) => {
      const text = cut(line, look)
      return line.startsWith(TROUBLE) ? paint(text, 'red', look) : text
    }),
    '',
    ...legend(view).map((line) => cut(line, look)),
  ]
}

/** Names the entries on servers' ports, which are harmless however many there are. */
function atServers({ servers }: View): string {
  if (servers.length === 0) return ''
  const sum = servers.reduce((before, server) => before + server.count, 0)
  const ports = servers.map(({ localPort }) => String(localPort)).join(', ')
  return `, ${count(sum)} of them on servers' own ports (${ports}), where they occupy no ephemeral port`
}

function cells({ report, history }: TopRow, look: Look): string[] {
  const { remoteAddress, remotePort, localAddress, used, timeWait, available, ports, rate } = report
  return [
    report.troubles.length > 0 ? TROUBLE : '',
    endpoint(remoteAddress, remotePort),
    localAddress,
    count(used),
    count(timeWait),
    count(available),
    count(ports),
    rate < 10 ? rate.toFixed(1) : count(rate),
    slowIn(report),
    duration(report.secondsUntilExhaustion),
    cost(report.probeMicroseconds, look),
    sparkline(history, SPARKS, look),
  ]
}

/** The time until connect() has to search, at the current rate; ports that come free meanwhile are not counted. */
function slowIn({ untilSlow, rate }: PortReport): string {
  if (untilSlow <= 0) return 'now'
  return rate <= 0 ? '-' : duration(untilSlow / rate)
}

function duration(seconds: number | undefined): string {
  if (seconds === undefined) return 'never'
  if (seconds <= 0) return 'now'
  if (seconds < 0.5) return '< 1 s'
  if (seconds < 2 * MINUTE_S) return `${seconds.toFixed(0)} s`
  if (seconds < 2 * HOUR_S) return `${(seconds / MINUTE_S).toFixed(0)} min`
  return `${(seconds / HOUR_S).toFixed(0)} h`
}

function cost(microseconds: number | undefined, { unicode }: Look): string {
  if (microseconds === undefined) return '-'
  return `${microseconds.toFixed(0)} ${unicode ? 'µs' : 'us'}`
}

/** Explains the marks of trouble. */
function legend({ rows }: View): string[] {
  const troubles = new Set(rows.flatMap(({ report }) => report.troubles))
  const lines = {
    used: `! at least ${String(100 * WARN_AT.used)} % of the ports are taken`,
    exhaustion: soonText(rows),
    'slow-connect': '! connect() is slow: it searches for a port on the event loop',
  }
  return [...troubles].map((trouble) => lines[trouble])
}

/** In the words of the column: `now`, or the time until the first of them runs out. */
function soonText(rows: readonly TopRow[]): string {
  const seconds = rows.flatMap(({ report }) =>
    report.troubles.includes('exhaustion') ? [report.secondsUntilExhaustion ?? 0] : [],
  )
  const first = duration(Math.min(...seconds))
  return first === 'now' ? '! no port is left' : `! the ports run out in ${first}`
}
