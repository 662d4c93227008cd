import { channel } from 'node:diagnostics_channel'
import { SocketTunerError } from './errors'
import { oneOf, spec, type InputOf } from './spec'

/**
 * Every warning code, with its meaning and its fix. The message of a warning adds the bytes, seconds or ports
 * of the case. docs/warnings.md is generated from this table.
 */
export const warningCodes = {
  SOCKET_TUNER_TOO_LATE: {
    meaning:
      'The option was set too late to have its full effect. The kernel accepts the call without an error.',
    fix: 'Set it before bind(), connect() or listen(), with the `settings` of `connect()` and `listen()` or with `RawSocket`; or set it on the server, for its future connections.',
  },
  SOCKET_TUNER_NO_EFFECT: {
    meaning: 'The option is for another kind of socket. A TCP socket accepts it and ignores it.',
    fix: 'Remove it. docs/options.md names the sockets that it is for.',
  },
  SOCKET_TUNER_LINGER_ON_LISTENER: {
    meaning:
      'SO_LINGER was set on a listening socket. Every accepted connection inherits it, so it affects each close.',
    fix: 'Use `tuneServer(server, { close })`, which decides for each close.',
  },
  SOCKET_TUNER_STEALS_ERROR: {
    meaning:
      "SO_ERROR was read, which clears it. Node can no longer emit the pending error as 'error'.",
    fix: "Listen for 'error' on the socket instead.",
  },
  SOCKET_TUNER_RESET_DISCARDS: {
    meaning:
      'A reset discarded written bytes, or may cause the loss of bytes in flight. The peer may see truncated data and then a clean end.',
    fix: "Close with mode 'deliver', or wait for the peer's answer before the reset.",
  },
  SOCKET_TUNER_RESET_WITHOUT_TIMESTAMPS: {
    meaning:
      'A connection without TCP timestamps was reset. Neither TIME_WAIT nor PAWS then protects the next connection on the same ports from a delayed segment.',
    fix: "Enable net.ipv4.tcp_timestamps on both ends, or close with mode 'fin'.",
  },
  SOCKET_TUNER_DELIVER_FALLBACK: {
    meaning:
      "A close in mode 'deliver' used 'fin' instead. Skipping TIME_WAIT is safe only if TCP timestamps were negotiated, and if the peer has sent data, which shows that it has noticed the completion of its `connect()`.",
    fix: 'Enable net.ipv4.tcp_timestamps on both ends, and let the peer send first. To accept the risk, pass `requireTimestamps: false` (a delayed segment may enter a later connection) or `requirePeerData: false` (a slow peer may see EPIPE and none of the data).',
  },
  SOCKET_TUNER_DELIVER_UNSUPPORTED: {
    meaning: "Mode 'deliver' needs TCP_LINGER2, which this platform lacks. 'fin' was used instead.",
    fix: "Use mode 'fin' on this platform, and let the peer close first where TIME_WAIT is a problem.",
  },
  SOCKET_TUNER_MPTCP_UNAVAILABLE: {
    meaning:
      'The kernel refuses MPTCP sockets. A connection or a server with `mptcp: true` uses TCP.',
    fix: 'Use Linux 5.6 or later, and set net.mptcp.enabled to 1 in the network namespace; or remove `mptcp`.',
  },
  SOCKET_TUNER_CLOSE_DEADLINE: {
    meaning:
      'The deadline of a close passed before all written bytes were in the kernel. The rest was discarded.',
    fix: 'Raise `deadlineMs`, or find out why the peer does not read.',
  },
  SOCKET_TUNER_DESTROY_DISCARDS: {
    meaning: 'destroy() discarded bytes that were written but not in the kernel yet.',
    fix: 'Call `destroySoon()`, or await `closeSocket()`.',
  },
  SOCKET_TUNER_END_LEAVES_TIME_WAIT: {
    meaning:
      "A program called `end()` on a connection with close mode 'deliver' or 'reset'. The FIN goes out before the close, so the connection leaves a TIME_WAIT entry. Drivers, `pipe()` and `pipeline()` end connections this way.",
    fix: "Set `onEnd: 'close'` with the mode, or call `destroySoon()` or `closeSocket()` instead of `end()`. No entry is left if the peer closes first.",
  },
  SOCKET_TUNER_LINGERING_DEADLINE: {
    meaning:
      'A lingering close reached its deadline while the peer was still sending. The peer is reset.',
    fix: 'Raise `deadlineMs` and `idleMs`, or accept that such a peer may lose the answer.',
  },
  SOCKET_TUNER_LINGERING_LIMIT: {
    meaning:
      'A lingering close ended early: the peer had sent more than `maxDiscardBytes`, or more than `maxLingering` connections lingered. A peer that is still sending is reset.',
    fix: 'Raise `maxDiscardBytes` or `maxLingering`. Leave them if the peers are slow on purpose: then the limit has worked.',
  },
  SOCKET_TUNER_BACKLOG_CUT: {
    meaning: 'The backlog is longer than net.core.somaxconn. The kernel cuts it without an error.',
    fix: 'Raise net.core.somaxconn in this network namespace, or use a shorter backlog.',
  },
  SOCKET_TUNER_DROPPED_SOCKET: {
    meaning:
      'A RawSocket was garbage-collected while it still owned its descriptor, which was then closed.',
    fix: 'Call `close()`, declare the RawSocket with `using`, or hand it over by `connect()` or `listenOn()`.',
  },
  SOCKET_TUNER_MIN_IDLE_FAILING: {
    meaning:
      'Three attempts in a row to open a connection for `minIdle` failed, or the server closed each within 1 s. One attempt follows after each pause, of at most 30 s. Requests are not affected: they open connections of their own.',
    fix: 'The message names the origin and the last error. Start the server, correct the origin, or use a server that keeps connections open before their first request for longer than 1 s.',
  },
  SOCKET_TUNER_PORTS_LOW: {
    meaning:
      'The ports for a destination of `watchPorts()` run short: too many are taken, they will soon run out, or connect() has become slow because it searches for one.',
    fix: "Reuse connections, close with mode 'deliver', add source addresses (`SourcePool`), or widen net.ipv4.ip_local_port_range. docs/ports.md lists the remedies in order.",
  },
  SOCKET_TUNER_WATCH_ENDED: {
    meaning:
      'A watch of `watchPorts()` or `watchConnections()` ended with an error: the kernel refuses to list its sockets, /proc is gone, or a host name is unknown. It makes no more reports and no more SOCKET_TUNER_PORTS_LOW warnings, and its gauges disappear from the metrics.',
    fix: 'The message names the cause: allow NETLINK_SOCK_DIAG in the sandbox, mount /proc, or correct the name. Then start the watch again. `watch.ended` rejects with the error.',
  },
  SOCKET_TUNER_WATCH_FAILING: {
    meaning:
      'Three readings of `watchPorts()` in a row failed for lack of descriptors or memory, or because of a timeout. The watch continues with longer pauses, and its gauges are not published meanwhile.',
    fix: 'Raise the limit that the message names, for example `ulimit -n` for EMFILE. `watch.failure` and `watch.failedReadings` report the failures.',
  },
  SOCKET_TUNER_NOT_TUNED: {
    meaning:
      "`socket-tuner/register` could not apply a part of its configuration to a socket, which keeps Node's behaviour there.",
    fix: 'Correct the configuration. With SOCKET_TUNER_DEBUG=1 each socket is logged.',
  },
  SOCKET_TUNER_PREFORK_SHARED: {
    meaning:
      'SO_REUSEPORT does not balance connections on this platform. The workers of `prefork()` share one listening socket through node:cluster.',
    fix: "Pass `steering: 'cluster'` to confirm that. A listening socket for each worker needs Linux.",
  },
  SOCKET_TUNER_HANDSHAKES_UNSEEN: {
    meaning:
      'While a group of `prefork()` or a server shuts down, the kernel does not report the handshakes that are under way. A handshake that takes longer than 1 s, because a packet was lost, is reset when the port is closed.',
    fix: 'Allow NETLINK_SOCK_DIAG in the sandbox, and load the kernel module tcp_diag if it is missing.',
  },
} as const

export type WarningCode = keyof typeof warningCodes

/** The message on the diagnostics channel `socket-tuner:warning`. */
export interface SocketTunerWarning {
  code: WarningCode
  /** Distinguishes causes under the same code. */
  reason: string
  message: string
}

export const configurable = spec({
  /** The effect of a hazard: a process warning (once per code and reason), an error, or nothing. */
  hazards: oneOf('warn', 'throw', 'ignore'),
})

export type Configuration = InputOf<typeof configurable>

let hazards: NonNullable<Configuration['hazards']> = 'warn'
const warned = new Set<string>()
const warnings = channel('socket-tuner:warning')

/**
 * Sets what this library does about a hazard. Applies to the whole thread.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_SOCKET_TUNER_UNKNOWN_OPTION
 */
export function configure(options: Configuration): void {
  hazards = configurable.check('options', options).hazards ?? hazards
}

/** Whether hazards are errors, so that a caller can check for them before it changes anything. */
export function hazardsThrow(): boolean {
  return hazards === 'throw'
}

/** Reports a hazard. Call it before the change, so that nothing is changed when it throws. */
export function hazard(code: WarningCode, reason: string, message: string): void {
  if (hazardsThrow()) {
    throw new SocketTunerError(`${message} (${code})`, {
      code: 'ERR_SOCKET_TUNER_HAZARD',
      warning: code,
    })
  }
  announce(code, reason, message)
}

/** Reports something that has happened already or cannot be prevented. Never throws. */
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
    detail: warningCodes[code].fix,
  })
}
