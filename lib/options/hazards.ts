/** Warnings for options that are set too late or on the wrong kind of socket. */
import { native } from '../kernel/binding'
import { LITTLE } from '../kernel/bytes'
import { isUnixDomain } from '../kernel/domain'
import { tcpInfoLayout as at } from '../kernel/layouts'
import { tcpStates } from '../kernel/tcp-states'
import { hazard } from '../warnings'
import type { PresentOption } from './option'
import type { OptionTiming } from './row'

/** The phase in the life of a TCP socket; `unknown` for other sockets. */
type Phase = 'fresh' | 'bound' | 'listening' | 'connecting' | 'connected' | 'unknown'

/** The first bytes of struct tcp_info, up to the window scales. */
const head = new Uint8Array(at.windowScales + 1)
const LARGEST_WINDOW = 65535

/** Reads the phase from the kernel: one system call, two for a socket that is not connected. */
export function phaseOf(fd: number): Phase {
  const length = native.tcpInfo(fd, head)
  if (length <= at.state) return 'unknown'
  switch (tcpStates[head[at.state] ?? 0]) {
    case 'LISTEN':
      return 'listening'
    case 'SYN_SENT':
      return 'connecting'
    case 'CLOSE':
      return native.localPort(fd) > 0 ? 'bound' : 'fresh'
    default:
      return 'connected'
  }
}

/** The reason why a set does not have its full effect. */
export interface Shortcoming {
  readonly status: 'tooLate' | 'noEffect'
  readonly why: string
}

/** Returns the reason why setting the option to this value now would lack its full effect, if there is one. */
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

/** Returns the shortcoming of an option that is for other kinds of socket than TCP. */
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
 * The handshake fixes the window scale by the size of the receive buffer at that time. During the handshake the
 * kernel does not report the scale, so nothing is warned of then.
 */
function beyondWindowScale(
  name: string,
  encoded: number | Uint8Array,
  phase: Phase,
  fd: number,
): Shortcoming | undefined {
  if (phase !== 'connected' || typeof encoded !== 'number') return undefined
  if (native.tcpInfo(fd, head) <= at.windowScales) return undefined
  const scales = head[at.windowScales] ?? 0
  const limit = LARGEST_WINDOW * 2 ** (LITTLE ? scales >>> 4 : scales & 15)
  if (encoded <= limit) return undefined
  const why =
    `${name} must be set before connect(), or on the listening socket, for a receive window of more than ` +
    `${String(limit)} bytes, the limit of the window scale of this connection`
  return { status: 'tooLate', why }
}

export function warnOf({ name }: PresentOption, { status, why }: Shortcoming): void {
  if (status === 'noEffect') hazard('SOCKET_TUNER_NO_EFFECT', name, why)
  else hazard('SOCKET_TUNER_TOO_LATE', name, `${why}. The kernel accepts it without an error`)
}

/** Warns of a value on a listening socket that is harmful on the connections that inherit it. */
export function warnInherited(
  { name, level, codec }: PresentOption,
  fd: number,
  encoded: number | Uint8Array,
): void {
  if (codec.carries === 'int' || typeof encoded === 'number') return
  const danger = codec.inheritedHazard?.(encoded)
  const { SO_ACCEPTCONN } = native.constants
  if (danger === undefined || SO_ACCEPTCONN === undefined) return
  if (native.getInt(fd, level, SO_ACCEPTCONN) <= 0) return
  // Its connections inherit nothing.
  if (isUnixDomain(fd)) return
  hazard(danger.code, name, danger.message)
}
