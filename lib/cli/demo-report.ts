/** The demo's figures, as a table and as sentences. */
import type { DemoPlace, ModeResult } from '../demo/demo'
import { describeCloseMode } from '../index'
import { align, count, counted, countOrUnknown, wrap } from './text'

const heading = [
  ['', 'connec-', '', '', '', 'TIME_WAIT', 'ports', 'connect:', 'bytes lost', 'errors'],
  ['close', 'tions', 'per s', 'per s', 'per s', 'entries', 'still', 'no port', 'to slow', 'at the'],
  ['mode', 'made', 'in all', 'at first', 'at last', 'left', 'free', 'free', 'readers', 'server'],
] as const

/** The table as lines. */
export function table(results: readonly ModeResult[]): string[] {
  const lines = align([...heading, ...results.map(cells)], 'lrrrrrrrrr')
  const width = Math.max(...lines.map((line) => line.length))
  return [...lines.slice(0, heading.length), '-'.repeat(width), ...lines.slice(heading.length)]
}

function cells(row: ModeResult): string[] {
  return [
    row.mode,
    count(row.connections),
    count(row.perSecond),
    count(row.atFirst),
    count(row.atLast),
    countOrUnknown(row.timeWait),
    countOrUnknown(row.portsFree),
    count(row.noPort),
    count(row.lost),
    count(total(row.serverErrors)),
  ]
}

function total(errors: Readonly<Record<string, number>>): number {
  return Object.values(errors).reduce((sum, each) => sum + each, 0)
}

/** Describes where the demo runs, before it begins. */
export function describePlace({
  kind,
  ports,
  narrowed,
  twReuse,
  connections,
}: DemoPlace): string[] {
  const many = `${count(connections)} connections in each mode`
  const reuse = twReuse === null ? '' : `, tcp_tw_reuse=${String(twReuse)}`
  const range = ports === null ? '' : `${String(ports.min)}-${String(ports.max)}`
  const size = ports === null ? '' : count(ports.max - ports.min + 1)
  if (kind === 'namespace') {
    return wrap(`In a network namespace of its own: ${size} ports (${range})${reuse}; ${many}.`, '')
  }
  if (narrowed) {
    return wrap(
      `On loopback, with the client confined to ${size} ports (IP_LOCAL_PORT_RANGE ${range})${reuse}; ${many}.`,
      '',
    )
  }
  const lacking = process.platform === 'linux' ? 'this kernel' : process.platform
  return wrap(
    `On loopback, with the ports of the whole machine${reuse}: ${lacking} has no IP_LOCAL_PORT_RANGE. Therefore only ${many}.`,
    '',
  )
}

/** Describes the figures in sentences. */
export function verdict(place: DemoPlace, results: readonly ModeResult[]): string[] {
  const lines = results.flatMap((row) =>
    wrap(`${description(row, place)}${clientSaw(row)}`, row.mode.padEnd(11)),
  )
  return [
    ...lines,
    ...wrap(
      "Call closeSocket(socket, 'deliver'), or setCloseMode(server, 'deliver') for every connection of a server. 'socket-tuner options TCP_LINGER2' describes the option behind it.",
      'Next:'.padEnd(11),
    ),
  ]
}

/** Depends on the properties of the mode, not on its name, so that a new mode is described too. */
function description(row: ModeResult, place: DemoPlace): string {
  const { keepsTimeWait, holdsDescriptor } = describeCloseMode(row.mode)
  if (row.fallbacks > 0)
    return `Closed with fin ${counted(row.fallbacks, 'time')}: ${row.fallback ?? ''}.`
  if (keepsTimeWait && holdsDescriptor)
    return `For an early answer to a peer that is still sending. Keeps TIME_WAIT as fin does, so the demo makes only ${counted(row.connections, 'connection')}.`
  if (keepsTimeWait) return `${slowdown(row)} ${heldPorts(row)}${reuseNote(row, place)}`
  return `${entries(row)}, ${row.lost > 0 ? 'but ' : ''}${loss(row)}, and ${serverSaw(row)}.`
}

function slowdown({ atFirst, atLast, noPort, connections }: ModeResult): string {
  const fell =
    atLast < atFirst / 2 ? `Fell from ${count(atFirst)} to ${count(atLast)} connections/s` : ''
  if (noPort > 0) {
    const failed = `connect() found no free port ${counted(noPort, 'time')}`
    return fell === ''
      ? `Ended at ${count(atLast)} connections/s: ${failed}.`
      : `${fell}: ${failed}.`
  }
  return fell === ''
    ? `Kept its pace over ${counted(connections, 'connection')}.`
    : `${fell}, without an error: each connect() searches for a free port.`
}

function heldPorts({ timeWait, portsFree }: ModeResult): string {
  if (timeWait === null || portsFree === null) return 'Each close leaves a TIME_WAIT entry.'
  return `${counted(timeWait, 'port waits', 'ports wait')} in TIME_WAIT, ${count(portsFree)} are free.`
}

function reuseNote({ noPort }: ModeResult, { kind, narrowed, twReuse }: DemoPlace): string {
  if (kind === 'namespace' || !narrowed) return ''
  if (twReuse === 1 || twReuse === 2) {
    return ` With tcp_tw_reuse=${String(twReuse)} loopback reuses such a port after 1 s${noPort > 0 ? ', and only that keeps the demo going' : ''}; a port to another host waits for 60 s.`
  }
  return ' They wait for 60 s.'
}

function entries({ timeWait }: ModeResult): string {
  if (timeWait === null) return 'Skips TIME_WAIT'
  return timeWait === 0
    ? 'Leaves no TIME_WAIT'
    : `Leaves ${counted(timeWait, 'TIME_WAIT entry', 'TIME_WAIT entries')}`
}

function loss({ lost, written, reportedDiscarded }: ModeResult): string {
  if (lost === 0) return `loses none of ${count(written)} bytes`
  return `loses ${count(lost)} of ${count(written)} bytes whose write had succeeded (closeSocket() reported ${count(reportedDiscarded)})`
}

function serverSaw({ serverErrors }: ModeResult): string {
  const codes = errorsByCode(serverErrors)
  return codes === '' ? 'the server sees no error' : `the server sees ${codes}`
}

function clientSaw({ clientErrors }: ModeResult): string {
  const codes = errorsByCode(clientErrors)
  return codes === '' ? '' : ` The client sees ${codes}.`
}

function errorsByCode(errors: Readonly<Record<string, number>>): string {
  return Object.entries(errors)
    .map(([code, times]) => `${count(times)} ${code}`)
    .join(', ')
}
