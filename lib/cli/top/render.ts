/** The view as text. */
import { endpoint } from '../../connect/address'
import type { PortReport } from '../../ports/report'
import { align, count } from '../text'
import { WARN_AT, type Row, type View } from './source'

export interface Look {
  /** Columns; lines are cut there. */
  readonly width: number
  readonly colour: boolean
  /** The terminal can show more than ASCII. */
  readonly unicode: boolean
}

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
const BLOCKS = '▁▂▃▄▅▆▇█'
const MARKS = '.:-=+*%#'
const TROUBLE = '!'
const RED = '\u001b[31m'
const BOLD = '\u001b[1m'
const PLAIN = '\u001b[0m'
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
    paint(cut(head, look), BOLD, look),
    ...lines.map((line) => {
      const text = cut(line, look)
      return line.startsWith(TROUBLE) ? paint(text, RED, look) : text
    }),
    '',
    ...told(view).map((line) => cut(line, look)),
  ]
}

/** They look like many, and are harmless. */
function atServers({ servers }: View): string {
  if (servers.length === 0) return ''
  const sum = servers.reduce((before, server) => before + server.count, 0)
  const ports = servers.map(({ localPort }) => String(localPort)).join(', ')
  return `, ${count(sum)} of them at servers' ports (${ports}), where they take none`
}

function cells({ report, history }: Row, look: Look): string[] {
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
    spark(history, look),
  ]
}

/** At the present rate, until connect() has to search: connections that end in between left out. */
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

function spark(history: readonly number[], { unicode }: Look): string {
  const marks = unicode ? BLOCKS : MARKS
  return history
    .slice(-SPARKS)
    .map((share) => marks[Math.min(marks.length - 1, Math.floor(share * marks.length))])
    .join('')
}

/** What the marks of trouble mean. */
function told({ rows }: View): string[] {
  const troubles = new Set(rows.flatMap(({ report }) => report.troubles))
  const lines = {
    used: `! ${String(100 * WARN_AT.used)} % of the ports or more are taken`,
    exhaustion: soonText(rows),
    'slow-connect': '! connect() searches for its port, on the event loop',
  }
  return [...troubles].map((trouble) => lines[trouble])
}

/** As the column says it: `now`, or how long the first of them lasts. */
function soonText(rows: readonly Row[]): string {
  const seconds = rows.flatMap(({ report }) =>
    report.troubles.includes('exhaustion') ? [report.secondsUntilExhaustion ?? 0] : [],
  )
  const first = duration(Math.min(...seconds))
  return first === 'now' ? '! no port is left' : `! no port will be left in ${first}`
}

function cut(line: string, { width }: Look): string {
  return line.slice(0, width).trimEnd()
}

function paint(line: string, code: string, { colour }: Look): string {
  return colour ? `${code}${line}${PLAIN}` : line
}
