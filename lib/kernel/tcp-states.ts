/** The states of a TCP connection (RFC 9293 section 3.3.2), as Linux numbers them from 1. */
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

/** Those of a connection, TIME_WAIT among them: all but CLOSE and LISTEN. */
export const connectedStates = tcpStates.filter(
  (state): state is TcpState => state !== undefined && state !== 'LISTEN' && state !== 'CLOSE',
)
