/** The kernel's table of TCP sockets: /proc/net/tcp and /proc/net/tcp6 (proc(5)). */

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

/** The state of one end of one connection; undefined when there is no such socket. */
export function stateOf(table: string, { localPort, remotePort }: Connection): State | undefined {
  for (const line of table.split('\n')) {
    const [, local, remote, state = ''] = line.trim().split(/\s+/)
    if (portOf(local) === localPort && portOf(remote) === remotePort) {
      return states[parseInt(state, 16) - 1]
    }
  }
  return undefined
}

export function countStates(table: string, end: End): StateCounts {
  const counts: StateCounts = {}
  const [field, port] = 'localPort' in end ? [1, end.localPort] : [2, end.remotePort]
  for (const line of table.split('\n')) {
    const fields = line.trim().split(/\s+/)
    if (portOf(fields[field]) !== port) continue
    const state = states[parseInt(fields[3] ?? '', 16) - 1]
    if (state === undefined || state === 'LISTEN') continue
    counts[state] = (counts[state] ?? 0) + 1
  }
  return counts
}

function portOf(address: string | undefined): number {
  return parseInt(address?.split(':')[1] ?? '', 16)
}
