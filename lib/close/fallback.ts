/**
 * Why a close did not go as it was asked to: another mode was used, or it was cut short. Reports and
 * counters use these codes. docs/warnings.md is generated from this table.
 */
export const fallbackCodes = {
  ended: {
    meaning:
      'The program had called `end()`, so the FIN was out before the close: `deliver` and `reset` came too late.',
    wayOut: 'Call `destroySoon()` or `closeSocket()` in place of `end()`.',
  },
  'no-timestamps': {
    meaning: '`deliver` used `fin`: the connection has no TCP timestamps.',
    wayOut:
      'Enable net.ipv4.tcp_timestamps on both ends, or pass `requireTimestamps: false` and accept the risk.',
  },
  'silent-peer': {
    meaning:
      "`deliver` used `fin` on an accepted connection: the peer had sent nothing, so its `connect()` may not have been noticed yet, and a RST would be that call's result.",
    wayOut:
      'Nothing has to be done; `requirePeerData: false` accepts the risk where the peers are known.',
  },
  unsupported: {
    meaning: '`deliver` used `fin`: the platform has no TCP_LINGER2.',
    wayOut: 'Let the peer close first where TIME_WAIT hurts.',
  },
  'not-tcp': {
    meaning: 'The socket is not a TCP socket: it has no reset and no TIME_WAIT.',
    wayOut: 'Use `fin` there.',
  },
  'no-descriptor': {
    meaning: 'The socket had no descriptor: it runs over another stream, or on Windows.',
    wayOut: 'Close the connection below.',
  },
  'not-connected': {
    meaning: 'The socket was closed before it was connected.',
    wayOut: 'Nothing has to be done.',
  },
  destroyed: {
    meaning: 'The socket, or the connection below it, had been destroyed before.',
    wayOut: 'Call `closeSocket()` first, or set a standing mode with `setCloseMode()`.',
  },
  refused: {
    meaning: 'The kernel refused an option or a descriptor that the mode needs.',
    wayOut: 'The message has the errno; EMFILE means that the process has no descriptor left.',
  },
  deadline: {
    meaning: 'The deadline passed first.',
    wayOut: 'Raise `deadlineMs`, or find out why the peer does not read.',
  },
  aborted: {
    meaning: 'The signal given to `closeSocket()` was aborted first.',
    wayOut: 'Nothing has to be done; the report says what was thrown away.',
  },
  idle: {
    meaning: 'The peer sent nothing for `idleMs` and did not finish.',
    wayOut: 'Raise `idleMs`.',
  },
  'too-much-input': {
    meaning: 'The peer sent more than `maxDiscardBytes` during a lingering close.',
    wayOut: 'Raise `maxDiscardBytes`; or the limit was right.',
  },
  evicted: {
    meaning: 'More than `maxLingering` connections were lingering.',
    wayOut: 'Raise `maxLingering`; or the limit was right.',
  },
  'peer-error': {
    meaning: 'The peer reset the connection during the close.',
    wayOut: 'Nothing has to be done.',
  },
  'reset-requested': {
    meaning: "A second call asked for 'reset' while another close was waiting.",
    wayOut: 'Nothing has to be done.',
  },
} as const

export type FallbackCode = keyof typeof fallbackCodes

/** Why a close did not go as it was asked to. */
export interface Fallback {
  /** Stable: a key of docs/warnings.md's table of fallbacks. */
  readonly code: FallbackCode
  /** For people, with the figures of the case. */
  readonly message: string
}

export function fallback(code: FallbackCode, message: string): Fallback {
  return { code, message }
}
