/** What is said before an option is set at a moment, or on a socket, where it does not do what it seems to. */
import { native } from '../kernel/binding'
import { hazard } from '../warnings'
import { LITTLE } from '../kernel/bytes'
import type { PresentOption } from './option'
import type { OptionTiming } from './row'

/** How far a TCP socket is in its life; `unknown` for other sockets. */
export type Phase = 'fresh' | 'bound' | 'listening' | 'connecting' | 'connected' | 'unknown'

const TCP_SYN_SENT = 2
const TCP_CLOSE = 7
const TCP_LISTEN = 10
/** The first bytes of struct tcp_info: the state is the first, the window scales are the seventh. */
const head = new Uint8Array(8)
const WINDOW_SCALES = 6
const LARGEST_WINDOW = 65535

/** Asks the kernel: one system call, two for a socket that is not connected. */
export function phaseOf(fd: number): Phase {
  const length = native.tcpInfo(fd, head)
  if (length < 1) return 'unknown'
  const [state] = head
  if (state === TCP_LISTEN) return 'listening'
  if (state === TCP_SYN_SENT) return 'connecting'
  if (state !== TCP_CLOSE) return 'connected'
  return native.localPort(fd) > 0 ? 'bound' : 'fresh'
}

/** What a set does not do. */
export interface Shortcoming {
  readonly status: 'tooLate' | 'noEffect'
  readonly why: string
}

/** What setting the option to this now does not do, or undefined. */
export function shortcomingOf(
  { name, row }: PresentOption,
  encoded: number | Uint8Array,
  phase: Phase,
  fd: number,
): Shortcoming | undefined {
  if (row.noEffectOnTcp !== undefined)
    return phase === 'unknown' ? undefined : withoutEffect({ name, row })
  if (row.refusedLate === true) return undefined
  if (row.withinWindowScale === true) return beyondWindowScale(name, encoded, phase, fd)
  const must = lateness(row.when, phase)
  return must === undefined
    ? undefined
    : { status: 'tooLate', why: `${name} ${must}: the socket is ${phase}` }
}

/** What setting an option on a TCP socket does not do because it is for sockets of another kind. */
export function withoutEffect({
  name,
  row,
}: Pick<PresentOption, 'name' | 'row'>): Shortcoming | undefined {
  if (row.noEffectOnTcp === undefined) return undefined
  return { status: 'noEffect', why: `${name} has no effect on TCP: it is for ${row.noEffectOnTcp}` }
}

function lateness(when: OptionTiming, phase: Phase): string | undefined {
  switch (when) {
    case 'pre-bind':
      if (phase === 'fresh' || phase === 'unknown') return undefined
      return 'must be set before bind()'
    case 'pre-connect':
      if (phase !== 'connecting' && phase !== 'connected') return undefined
      return 'must be set before connect(), or on the listening socket'
    case 'pre-established':
      if (phase !== 'connected') return undefined
      return 'must be set before the connection is established, or on the listening socket'
    case 'pre-listen':
      if (phase !== 'connecting' && phase !== 'connected') return undefined
      return 'acts on a listening socket'
    default:
      return undefined
  }
}

/**
 * The handshake fixes the scale by the buffer of that moment. While it is under way the kernel does not
 * tell the scale, which then is that of the kernel's own tuning as a rule.
 */
function beyondWindowScale(
  name: string,
  encoded: number | Uint8Array,
  phase: Phase,
  fd: number,
): Shortcoming | undefined {
  if (phase !== 'connected' || typeof encoded !== 'number') return undefined
  if (native.tcpInfo(fd, head) <= WINDOW_SCALES) return undefined
  const scales = head[WINDOW_SCALES] ?? 0
  const limit = LARGEST_WINDOW * 2 ** (LITTLE ? scales >>> 4 : scales & 15)
  if (encoded <= limit) return undefined
  const why =
    `${name} must be set before connect(), or on the listening socket, for a receive window of more than ` +
    `${String(limit)} bytes, which is what the window scale of this connection allows`
  return { status: 'tooLate', why }
}

export function warnOf({ name }: PresentOption, { status, why }: Shortcoming): void {
  if (status === 'noEffect') hazard('SOCKET_TUNER_NO_EFFECT', name, why)
  else hazard('SOCKET_TUNER_TOO_LATE', name, `${why}. The kernel accepts it and says nothing`)
}

/** SO_LINGER switched on for a listening socket reaches every connection. */
export function warnListenerLinger(option: PresentOption, fd: number, encoded: Uint8Array): void {
  if (!encoded.subarray(0, 4).some((byte) => byte !== 0)) return
  const { SO_ACCEPTCONN } = native.constants
  if (SO_ACCEPTCONN === undefined) return
  const listening = native.getInt(fd, option.level, SO_ACCEPTCONN)
  if (listening <= 0) return
  // Connections of a unix-domain socket, which has no port, inherit nothing.
  if (native.localPort(fd) < 0) return
  hazard(
    'SOCKET_TUNER_LINGER_ON_LISTENER',
    'SO_LINGER',
    'SO_LINGER on a listening socket is copied to every connection that it accepts: ' +
      'with 0 s each of their closes discards unsent bytes, with more each stops the event loop',
  )
}
