/** The demo's figures, as a table and in words. */
import { describeCloseMode } from '../../index'
import { align, count, counted, wrap } from '../text'
import type { Place, Row } from './messages'
import { sizeOf } from '../../kernel/proc'

const heading = [
  ['', 'connec-', '', '', '', 'TIME_WAIT', 'ports', 'connect:', 'bytes lost', 'errors'],
  ['close', 'tions', 'per s', 'per s', 'per s', 'entries', 'still', 'no port', 'to slow', 'at the'],
  ['mode', 'made', 'in all', 'at first', 'at last', 'left', 'free', 'free', 'readers', 'server'],
] as const

/** Lines of the table. */
export function table(rows: readonly Row[]): string[] {
  const lines = align([...heading, ...rows.map(cells)], 'lrrrrrrrrr')
  const width = Math.max(...lines.map((line) => line.length))
  return [...lines.slice(0, heading.length), '-'.repeat(width), ...lines.slice(heading.length)]
}

function cells(row: Row): string[] {
  return [
    row.mode,
    count(row.connections),
    count(row.perSecond),
    count(row.atFirst),
    count(row.atLast),
    known(row.timeWait),
    known(row.portsFree),
    count(row.noPort),
    count(row.lost),
    count(total(row.serverErrors)),
  ]
}

function known(value: number | null): string {
  return value === null ? 'n/a' : count(value)
}

function total(errors: Readonly<Record<string, number>>): number {
  return Object.values(errors).reduce((sum, each) => sum + each, 0)
}

/** Where the demo runs, said before it begins. */
export function describePlace({ kind, ports, narrowed, twReuse, connections }: Place): string[] {
  const many = `${count(connections)} connections in each mode`
  const reuse = twReuse === null ? '' : `, tcp_tw_reuse=${String(twReuse)}`
  const range = ports === null ? '' : `${String(ports.min)}-${String(ports.max)}`
  const size = ports === null ? '' : count(sizeOf(ports))
  if (kind === 'namespace') {
    return wrap(`In a network namespace of its own: ${size} ports (${range})${reuse}; ${many}.`, '')
  }
  if (narrowed) {
    return wrap(
      `On loopback, the client kept to ${size} ports (IP_LOCAL_PORT_RANGE ${range})${reuse}; ${many}.`,
      '',
    )
  }
  const lacking = process.platform === 'linux' ? 'this kernel' : process.platform
  return wrap(
    `On loopback with the ports of the whole machine${reuse}: ${lacking} has no IP_LOCAL_PORT_RANGE, so no more than ${many}.`,
    '',
  )
}

/** What the table says, in words. */
export function verdict(place: Place, rows: readonly Row[]): string[] {
  const lines = rows.flatMap((row) =>
    wrap(`${reading(row, place)}${clientSaw(row)}`, row.mode.padEnd(11)),
  )
  return [
    ...lines,
    ...wrap(
      "closeSocket(socket, 'deliver'), or setCloseMode(server, 'deliver') for all that a server accepts. 'socket-tuner options TCP_LINGER2' has the option behind it.",
      'Next:'.padEnd(11),
    ),
  ]
}

/** By what sets the row's mode apart, so that a new mode is told of too. */
function reading(row: Row, place: Place): string {
  const { keepsTimeWait, holdsDescriptor } = describeCloseMode(row.mode)
  if (row.fallbacks > 0)
    return `Closed with fin ${counted(row.fallbacks, 'time')}: ${row.fallback ?? ''}.`
  if (keepsTimeWait && holdsDescriptor)
    return `Keeps TIME_WAIT as fin does, so only ${counted(row.connections, 'connection')} here: it is for an early answer to a peer that is still sending.`
  if (keepsTimeWait) return `${slowdown(row)} ${heldPorts(row)}${reuseNote(row, place)}`
  return `${entries(row)}, ${row.lost > 0 ? 'but ' : ''}${loss(row)}, and ${serverSaw(row)}.`
}

function slowdown({ atFirst, atLast, noPort, connections }: Row): string {
  const fell =
    atLast < atFirst / 2 ? `Fell from ${count(atFirst)} to ${count(atLast)} connections/s` : ''
  if (noPort > 0) {
    const failed = `connect() failed ${counted(noPort, 'time')} for want of a port`
    return fell === ''
      ? `At last ${count(atLast)} connections/s: ${failed}.`
      : `${fell}: ${failed}.`
  }
  return fell === ''
    ? `Kept its pace over ${counted(connections, 'connection')}.`
    : `${fell}, without an error: connect() searches for a free port.`
}

function heldPorts({ timeWait, portsFree }: Row): string {
  if (timeWait === null || portsFree === null) return 'Each close leaves a TIME_WAIT entry.'
  return `${counted(timeWait, 'port waits', 'ports wait')} in TIME_WAIT, ${count(portsFree)} are free.`
}

function reuseNote({ noPort }: Row, { kind, narrowed, twReuse }: Place): string {
  if (kind === 'namespace' || !narrowed) return ''
  if (twReuse === 1 || twReuse === 2) {
    return ` With tcp_tw_reuse=${String(twReuse)} loopback may take such a port again after 1 s${noPort > 0 ? ', which alone keeps it going here' : ''}; a port to another host waits for 60 s.`
  }
  return ' They wait for 60 s.'
}

function entries({ timeWait }: Row): string {
  if (timeWait === null) return 'Skips TIME_WAIT'
  return timeWait === 0
    ? 'Leaves no TIME_WAIT'
    : `Leaves ${counted(timeWait, 'TIME_WAIT entry', 'TIME_WAIT entries')}`
}

function loss({ lost, written, reportedDiscarded }: Row): string {
  if (lost === 0) return `loses none of ${count(written)} bytes`
  const told = ` (closeSocket reported ${count(reportedDiscarded)})`
  return `lost ${count(lost)} of ${count(written)} bytes whose write had succeeded${told}`
}

function serverSaw({ serverErrors }: Row): string {
  const codes = errorsByCode(serverErrors)
  return codes === '' ? 'the server sees no error' : `the server saw ${codes}`
}

function clientSaw({ clientErrors }: Row): string {
  const codes = errorsByCode(clientErrors)
  return codes === '' ? '' : ` The client saw ${codes}.`
}

function errorsByCode(errors: Readonly<Record<string, number>>): string {
  return Object.entries(errors)
    .map(([code, times]) => `${count(times)} ${code}`)
    .join(', ')
}
