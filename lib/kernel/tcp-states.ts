/** The states of a TCP connection (RFC 9293 section 3.3.2), by their numbers in Linux, which begin with 1. */
export const tcpStates = [
  undefined,
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
] as const

export type TcpState = NonNullable<(typeof tcpStates)[number]>

/** The states of a connection, including TIME_WAIT: all except CLOSE and LISTEN. */
export const connectedStates = tcpStates.filter(
  (state): state is TcpState => state !== undefined && state !== 'LISTEN' && state !== 'CLOSE',
)

/** Whether the peer's FIN has arrived in this state; undefined for CLOSE, which no longer shows it, and for no state. */
export function hasReceivedFin(state: TcpState | undefined): boolean | undefined {
  switch (state) {
    case 'CLOSE':
    case undefined:
      return undefined
    case 'CLOSE_WAIT':
    case 'LAST_ACK':
    case 'CLOSING':
    case 'TIME_WAIT':
      return true
    default:
      return false
  }
}
