import { channel } from 'node:diagnostics_channel'
import { SocketTunerError } from './errors'
import { oneOf, spec, type InputOf } from './spec'

/**
 * Every warning code, with what it means and the way out. docs/warnings.md is generated from this
 * table; a warning's own message adds the bytes, seconds or ports of the case.
 */
export const warningCodes = {
  SOCKET_TUNER_TOO_LATE: {
    meaning:
      'The option was set after the moment at which it has its full effect. The kernel accepts the call and says nothing.',
    wayOut:
      'Set it before bind, connect or listen: `RawSocket`, or on the server for connections to come.',
  },
  SOCKET_TUNER_NO_EFFECT: {
    meaning:
      'The option is for sockets of another kind. A TCP socket accepts and stores it, and nothing comes of it.',
    wayOut: 'Leave it out; docs/options.md says which sockets it is for.',
  },
  SOCKET_TUNER_LINGER_ON_LISTENER: {
    meaning:
      'SO_LINGER on a listening socket is copied to every connection that it accepts: each close of each of them is affected.',
    wayOut: 'Use `tuneServer(server, { close })`, which decides close by close.',
  },
  SOCKET_TUNER_STEALS_ERROR: {
    meaning:
      "Reading SO_ERROR clears it: the pending error that Node would have emitted as 'error' is gone.",
    wayOut: "Listen for 'error' on the socket.",
  },
  SOCKET_TUNER_RESET_DISCARDS: {
    meaning:
      'A reset threw away bytes that had been written, or left it to chance whether those under way arrive. The peer may see truncated data and then a clean end.',
    wayOut: "Close with mode 'deliver', or wait for the peer's answer before resetting.",
  },
  SOCKET_TUNER_RESET_WITHOUT_TIMESTAMPS: {
    meaning:
      'A connection without TCP timestamps was reset: there is no TIME_WAIT and no PAWS, so a delayed segment of it can enter the next connection on the same ports.',
    wayOut: "Enable net.ipv4.tcp_timestamps on both ends, or close with mode 'fin'.",
  },
  SOCKET_TUNER_DELIVER_FALLBACK: {
    meaning:
      "Mode 'deliver' was asked for and 'fin' was used: skipping TIME_WAIT is safe only where TCP timestamps were negotiated, and where the peer has sent something, so that it has noticed that its `connect()` is complete.",
    wayOut:
      'Enable net.ipv4.tcp_timestamps on both ends, or let the peer speak first; or pass `requireTimestamps: false` (a delayed segment may enter a later connection) or `requirePeerData: false` (a slow peer may see EPIPE and none of the data).',
  },
  SOCKET_TUNER_DELIVER_UNSUPPORTED: {
    meaning: "Mode 'deliver' needs TCP_LINGER2, which this platform lacks: 'fin' was used.",
    wayOut: "Use mode 'fin' there, and let the peer close first where TIME_WAIT hurts.",
  },
  SOCKET_TUNER_CLOSE_DEADLINE: {
    meaning:
      'The deadline of a close passed before all written bytes were in the kernel: the rest was thrown away.',
    wayOut: 'Raise `deadlineMs`, or find out why the peer does not read.',
  },
  SOCKET_TUNER_DESTROY_DISCARDS: {
    meaning: 'destroy() threw away bytes that had been written but were not in the kernel yet.',
    wayOut: 'Call `destroySoon()`, or await `closeSocket()`.',
  },
  SOCKET_TUNER_END_LEAVES_TIME_WAIT: {
    meaning:
      "A connection under close mode 'deliver' or 'reset' was ended by `end()`: its FIN went out before the close, so TIME_WAIT is left. Drivers, `pipe()` and `pipeline()` end their connections so.",
    wayOut:
      'Call `destroySoon()` or `closeSocket()` in place of `end()`; where the peer closes first nothing is left.',
  },
  SOCKET_TUNER_LINGERING_DEADLINE: {
    meaning: 'A lingering close ended at its deadline: the peer was still sending and is reset.',
    wayOut: 'Raise `deadlineMs` and `idleMs`, or accept that such a peer may lose the answer.',
  },
  SOCKET_TUNER_LINGERING_LIMIT: {
    meaning:
      'A lingering close was ended before its time, since the peer had sent more than may be thrown away, or too many others lingered: a peer that is still sending is reset.',
    wayOut:
      'Raise `maxDiscardBytes` or `maxLingering`; or it was right, and the peers are slow on purpose.',
  },
  SOCKET_TUNER_BACKLOG_CUT: {
    meaning:
      'listen(2) was asked for a longer backlog than net.core.somaxconn allows; the kernel cuts it and says nothing.',
    wayOut: 'Raise net.core.somaxconn in this network namespace, or ask for less.',
  },
  SOCKET_TUNER_DROPPED_SOCKET: {
    meaning: 'A RawSocket became garbage while it still had its descriptor, which was closed then.',
    wayOut:
      'Call `close()`, or declare it with `using`; or hand it over by `connect()` or `listenOn()`.',
  },
  SOCKET_TUNER_PORTS_LOW: {
    meaning:
      '`watchPorts()` sees the ports towards a destination run short: too many are taken, or they will not last, or connect() has become slow in the search for one.',
    wayOut:
      "Keep connections open and use them again; or close with mode 'deliver'; or take more source addresses (`SourcePool`) or a wider net.ipv4.ip_local_port_range. docs/ports.md has them in order.",
  },
  SOCKET_TUNER_WATCH_ENDED: {
    meaning:
      'A watch of `watchPorts()` has died: the kernel refuses to list its sockets, /proc is gone, or a host name is not known. No report and no SOCKET_TUNER_PORTS_LOW comes any more, and its gauges are gone from the metrics.',
    wayOut:
      'The message names the cause: allow NETLINK_SOCK_DIAG in the sandbox, mount /proc, correct the name. Then call `watchPorts()` again; `watch.ended` rejects with the error.',
  },
  SOCKET_TUNER_WATCH_FAILING: {
    meaning:
      'Three looks of `watchPorts()` in a row have failed for want of descriptors, memory or an answer in time. The watch goes on with longer pauses, and its gauges are not published meanwhile.',
    wayOut:
      'Raise the limit that the message names, as `ulimit -n` for EMFILE; `watch.failure` and `watch.failedLooks` report it.',
  },
  SOCKET_TUNER_NOT_TUNED: {
    meaning:
      '`socket-tuner/register` could not do to a socket what its configuration says: that part of it is as Node makes it.',
    wayOut: 'SOCKET_TUNER_DEBUG=1 tells of each socket; correct the configuration.',
  },
  SOCKET_TUNER_PREFORK_SHARED: {
    meaning:
      'SO_REUSEPORT does not balance connections on this platform: the workers of `prefork()` share one listening socket, as node:cluster does it.',
    wayOut: "Pass `steering: 'cluster'` where that is meant; listeners of their own need Linux.",
  },
  SOCKET_TUNER_PREFORK_UNSEEN: {
    meaning:
      '`prefork()` closes, and the kernel does not report the connections whose handshake is under way. Those that take longer than 1 s, because a packet was lost, are reset when the port is closed.',
    wayOut:
      'Allow NETLINK_SOCK_DIAG in the sandbox, and load the kernel module tcp_diag where it is missing.',
  },
} as const

export type WarningCode = keyof typeof warningCodes

/** What `diagnostics_channel` subscribers of `socket-tuner:warning` get. */
export interface SocketTunerWarning {
  code: WarningCode
  /** Tells one cause from another under the same code. */
  reason: string
  message: string
}

export const configurable = spec({
  /** What a hazard does: a process warning (once per code and reason), an error, or nothing. */
  hazards: oneOf('warn', 'throw', 'ignore'),
})

export type Configuration = InputOf<typeof configurable>

let hazards: NonNullable<Configuration['hazards']> = 'warn'
const warned = new Set<string>()
const warnings = channel('socket-tuner:warning')

/**
 * Sets what this library does when it sees a hazard. Applies to the whole process (to the thread,
 * in a worker).
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_SOCKET_TUNER_UNKNOWN_OPTION
 */
export function configure(options: Configuration): void {
  hazards = configurable.check('options', options).hazards ?? hazards
}

/** Whether hazards are errors, so that a caller can look for them before it begins. */
export function hazardsThrow(): boolean {
  return hazards === 'throw'
}

/** Tells of a hazard; call it before the change, so that 'throw' leaves everything as it was. */
export function hazard(code: WarningCode, reason: string, message: string): void {
  if (hazardsThrow()) {
    throw new SocketTunerError(`${message} (${code})`, {
      code: 'ERR_SOCKET_TUNER_HAZARD',
      warning: code,
    })
  }
  announce(code, reason, message)
}

/** Tells of what has happened already or cannot be stopped: never throws. */
export function announce(code: WarningCode, reason: string, message: string): void {
  if (warnings.hasSubscribers)
    warnings.publish({ code, reason, message } satisfies SocketTunerWarning)
  if (hazards === 'ignore') return
  const key = `${code} ${reason}`
  if (warned.has(key)) return
  warned.add(key)
  process.emitWarning(message, {
    type: 'SocketTunerWarning',
    code,
    detail: warningCodes[code].wayOut,
  })
}
