/** The kernel's table of TCP sockets, and its counters: /proc/net/tcp, tcp6 and netstat (proc(5)). */
import { readFileSync } from 'node:fs'

export type State =
  | 'ESTABLISHED'
  | 'SYN_SENT'
  | 'SYN_RECV'
  | 'FIN_WAIT1'
  | 'FIN_WAIT2'
  | 'TIME_WAIT'
  | 'CLOSE'
  | 'CLOSE_WAIT'
  | 'LAST_ACK'
  | 'LISTEN'
  | 'CLOSING'
  | 'NEW_SYN_RECV'

const states: readonly State[] = [
  'ESTABLISHED',
  'SYN_SENT',
  'SYN_RECV',
  'FIN_WAIT1',
  'FIN_WAIT2',
  'TIME_WAIT',
  'CLOSE',
  'CLOSE_WAIT',
  'LAST_ACK',
  'LISTEN',
  'CLOSING',
  'NEW_SYN_RECV',
]

/** Selects one end of a connection, by its own port or by the port of its peer. */
export type End = { localPort: number } | { remotePort: number }

/** The number of sockets in each state, without listening ones. */
export type StateCounts = Partial<Record<State, number>>

/** One connection, by its ports as seen from one end. */
export interface Connection {
  localPort: number
  remotePort: number
}

/** Reads the table of the network namespace that all tests share, for both address families. */
export function readTable(): string {
  return ['tcp', 'tcp6'].map((name) => readFileSync(`/proc/net/${name}`, 'utf8')).join('\n')
}

/** Returns the state of one end of a connection; undefined if there is no such socket. */
export function stateOf(table: string, connection: Connection): State | undefined {
  const [, , , state = ''] = lineOf(table, connection) ?? []
  return states[parseInt(state, 16) - 1]
}

/** Returns the bytes in the receive queue of one end of a connection; 0 if there is no such socket. */
export function unreadAt(table: string, connection: Connection): number {
  const [, , , , queues = ''] = lineOf(table, connection) ?? []
  return parseInt(queues.split(':')[1] ?? '0', 16)
}

function lineOf(table: string, { localPort, remotePort }: Connection): string[] | undefined {
  for (const line of table.split('\n')) {
    const fields = line.trim().split(/\s+/)
    if (portOf(fields[1]) === localPort && portOf(fields[2]) === remotePort) return fields
  }
  return undefined
}

export function countStates(table: string, end: End): StateCounts {
  const counts: StateCounts = {}
  for (const { state } of socketsAt(table, end)) counts[state] = (counts[state] ?? 0) + 1
  return counts
}

/** Returns the peer's ports of the connections in TIME_WAIT at this end. */
export function timeWaitPorts(table: string, end: End): Set<number> {
  const inTimeWait = socketsAt(table, end).filter(({ state }) => state === 'TIME_WAIT')
  return new Set(inTimeWait.map(({ otherPort }) => otherPort))
}

/** Returns a TcpExt counter of /proc/net/netstat, which has a line of names, then a line of values. */
export function extendedCounter(netstat: string, name: string): number {
  const [names = [], values = []] = netstat
    .split('\n')
    .filter((line) => line.startsWith('TcpExt:'))
    .map((line) => line.split(' '))
  return Number(values[names.indexOf(name)])
}

function socketsAt(table: string, end: End): { state: State; otherPort: number }[] {
  const sockets = []
  const [own, other, port] = 'localPort' in end ? [1, 2, end.localPort] : [2, 1, end.remotePort]
  for (const line of table.split('\n')) {
    const fields = line.trim().split(/\s+/)
    const state = states[parseInt(fields[3] ?? '', 16) - 1]
    if (portOf(fields[own]) !== port || state === undefined || state === 'LISTEN') continue
    sockets.push({ state, otherPort: portOf(fields[other]) })
  }
  return sockets
}

function portOf(address: string | undefined): number {
  return parseInt(address?.split(':')[1] ?? '', 16)
}
