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

/** Which end of a connection is meant: the one whose own port, or whose peer's port, is this one. */
export type End = { localPort: number } | { remotePort: number }

/** How many sockets there are in each state, listening ones left out. */
export type StateCounts = Partial<Record<State, number>>

/** One connection, by the ports of its two ends as the end in question has them. */
export interface Connection {
  localPort: number
  remotePort: number
}

/** That of the network namespace that all tests share, of both address families. */
export function readTable(): string {
  return ['tcp', 'tcp6'].map((name) => readFileSync(`/proc/net/${name}`, 'utf8')).join('\n')
}

/** The state of one end of one connection; undefined when there is no such socket. */
export function stateOf(table: string, connection: Connection): State | undefined {
  const [, , , state = ''] = lineOf(table, connection) ?? []
  return states[parseInt(state, 16) - 1]
}

/** Bytes in the receive queue of one end of one connection; 0 when there is no such socket. */
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

/** The other ports of the connections that are in TIME_WAIT at this end. */
export function timeWaitPorts(table: string, end: End): Set<number> {
  const inTimeWait = socketsAt(table, end).filter(({ state }) => state === 'TIME_WAIT')
  return new Set(inTimeWait.map(({ otherPort }) => otherPort))
}

/** One of the counters in /proc/net/netstat that `nstat` calls TcpExt…: a line of names, then one of values. */
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
