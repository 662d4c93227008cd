/**
 * The reasons why a close did not use the requested mode, or was cut short. Reports and counters use these codes.
 * docs/warnings.md is generated from this table.
 */
export const fallbackCodes = {
  ended: {
    meaning:
      'The program had called `end()`, which sent the FIN. `deliver` and `reset` came too late.',
    fix: "Set `onEnd: 'close'`, or call `destroySoon()` or `closeSocket()` instead of `end()`.",
  },
  'no-timestamps': {
    meaning: '`deliver` used `fin`, because the connection has no TCP timestamps.',
    fix: 'Enable net.ipv4.tcp_timestamps on both ends, or pass `requireTimestamps: false` and accept the risk.',
  },
  'silent-peer': {
    meaning:
      '`deliver` used `fin` on an accepted connection, because the peer had sent nothing. Its program may not have noticed that `connect()` is complete, and a RST would make that call fail.',
    fix: 'None is needed. `requirePeerData: false` accepts the risk where the peers are known.',
  },
  unsupported: {
    meaning: '`deliver` used `fin`, because the platform has no TCP_LINGER2.',
    fix: 'Let the peer close first where TIME_WAIT is a problem.',
  },
  'not-tcp': {
    meaning: 'The socket is not a TCP socket, and has neither a reset nor TIME_WAIT.',
    fix: 'Use `fin`.',
  },
  'no-descriptor': {
    meaning: 'The socket had no descriptor. It runs over another stream, or on Windows.',
    fix: 'Close the stream that carries it.',
  },
  'not-connected': {
    meaning: 'The socket was closed before it was connected.',
    fix: 'None is needed.',
  },
  destroyed: {
    meaning: 'The socket, or the connection that carries it, was already destroyed.',
    fix: 'Call `closeSocket()` first, or set a standing mode with `setCloseMode()`.',
  },
  refused: {
    meaning: 'The kernel refused an option or a descriptor that the mode needs.',
    fix: 'The message has the errno. EMFILE means that the process has no free descriptor.',
  },
  deadline: {
    meaning: 'The deadline passed before the close was complete.',
    fix: 'Raise `deadlineMs`, or find out why the peer does not read.',
  },
  aborted: {
    meaning: 'The signal of `closeSocket()` was aborted before the close was complete.',
    fix: 'None is needed. The report has the number of discarded bytes.',
  },
  idle: {
    meaning: 'The peer sent nothing for `idleMs` and did not finish.',
    fix: 'Raise `idleMs`.',
  },
  'too-much-input': {
    meaning: 'The peer sent more than `maxDiscardBytes` during a lingering close.',
    fix: 'Raise `maxDiscardBytes`, unless such peers are to be cut off.',
  },
  evicted: {
    meaning: 'More than `maxLingering` connections were lingering.',
    fix: 'Raise `maxLingering`, unless such peers are to be cut off.',
  },
  'peer-error': {
    meaning: 'The peer reset the connection during the close.',
    fix: 'None is needed.',
  },
  'reset-requested': {
    meaning: 'A second call requested `reset` while another close was waiting.',
    fix: 'None is needed.',
  },
} as const

export type FallbackCode = keyof typeof fallbackCodes

/** Why a close did not use the requested mode, or was cut short. */
export interface Fallback {
  /** Stable: a key of docs/warnings.md's table of fallbacks. */
  readonly code: FallbackCode
  /** For people to read, with the figures of the case. */
  readonly message: string
}

export function fallback(code: FallbackCode, message: string): Fallback {
  return { code, message }
}
