/** What is said before an option is set at a moment, or on a socket, where it does not do what it seems to. */
import { intFailure, native } from '../binding'
import { hazard } from '../warnings'
import type { PresentOption } from './option'

/** How far a TCP socket is in its life; `unknown` for other sockets. */
export type Phase = 'fresh' | 'bound' | 'listening' | 'connected' | 'unknown'

const TCP_CLOSE = 7
const TCP_LISTEN = 10
const state = new Uint8Array(1)

/** Asks the kernel: one system call, two for a socket that is not connected. */
export function phaseOf(fd: number): Phase {
  const length = native.tcpInfo(fd, state)
  if (length < 1) return 'unknown'
  if (state[0] === TCP_LISTEN) return 'listening'
  if (state[0] !== TCP_CLOSE) return 'connected'
  return native.localPort(fd) > 0 ? 'bound' : 'fresh'
}

/** Why setting the option now is too late, or undefined. */
export function lateness({ name, row }: PresentOption, phase: Phase): string | undefined {
  const is = `the socket is ${phase}`
  switch (row.when) {
    case 'pre-bind':
      if (phase === 'fresh' || phase === 'unknown') return undefined
      return `${name} must be set before bind(): ${is}`
    case 'pre-connect':
      if (phase !== 'connected') return undefined
      return `${name} must be set before connect(), or on the listening socket: ${is}`
    case 'pre-listen':
      if (phase !== 'connected') return undefined
      return `${name} acts on a listening socket: ${is}`
    default:
      return undefined
  }
}

export function warnLate(option: PresentOption, why: string): void {
  hazard('SOCKET_TUNER_TOO_LATE', option.name, `${why}. The kernel accepts it and says nothing`)
}

/** SO_LINGER switched on for a listening socket reaches every connection. */
export function warnListenerLinger(option: PresentOption, fd: number, encoded: Uint8Array): void {
  if (!encoded.subarray(0, 4).some((byte) => byte !== 0)) return
  const { SO_ACCEPTCONN } = native.constants
  if (SO_ACCEPTCONN === undefined) return
  const listening = native.getInt(fd, option.level, SO_ACCEPTCONN)
  if (intFailure(listening) !== 0 || listening === 0) return
  hazard(
    'SOCKET_TUNER_LINGER_ON_LISTENER',
    'SO_LINGER',
    'SO_LINGER on a listening socket is copied to every connection that it accepts: ' +
      'with 0 s each of their closes discards unsent bytes, with more each stops the event loop',
  )
}
