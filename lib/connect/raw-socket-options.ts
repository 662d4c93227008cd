/** The options of RawSocket and its methods. */
import type * as net from 'node:net'
import { ArgumentTypeError } from '../errors'
import { netConnectNames } from '../node/option-names'
import { boolean, sharedSpec, spec, type InputOf } from '../spec'
import { anyPort, checkPort, ipAddress } from './address'
import { backlogOption } from './listening'

export const rawSocketOptions = spec({
  /** Multipath TCP (RFC 8684), Linux 5.6+ with net.mptcp.enabled. Default false. */
  mptcp: boolean().default(false),
})

export type RawSocketOptions = InputOf<typeof rawSocketOptions>

export const bindOptions = spec({
  /** An address of this host. Default: all of them, `0.0.0.0` or `::`. */
  address: ipAddress,
  /** 0 or undefined: the kernel chooses one. */
  port: anyPort.default(0),
})

export type BindOptions = InputOf<typeof bindOptions>

const byBind = 'cannot be given: use bind()'
const here = 'cannot be given: the RawSocket has its own descriptor'

export const rawConnectOptions = sharedSpec({}, netConnectNames, {
  localAddress: byBind,
  localPort: byBind,
  source: byBind,
  portRange: 'cannot be given: use the setting IP_LOCAL_PORT_RANGE of RawSocket.open()',
  settings: 'cannot be given: use RawSocket.open() or tune()',
  close: 'cannot be given: use setCloseMode() with the net.Socket',
  family: 'cannot be given: it is an argument of RawSocket.open()',
  fd: here,
  handle: here,
  path: 'cannot be given: the socket is an IP socket',
})

/** The options of net.connect(), without those that RawSocket.open() and bind() replace. */
export type RawConnectOptions = Omit<
  net.TcpNetConnectOpts,
  'localAddress' | 'localPort' | 'family' | 'autoSelectFamily' | 'autoSelectFamilyAttemptTimeout'
>

export const listenOnOptions = spec({
  /** The most connections that may wait for accept(); at most net.core.somaxconn. Default 511, as in Node. */
  backlog: backlogOption,
})

export type ListenOnOptions = InputOf<typeof listenOnOptions>

/** Checks the port like Node, but before the descriptor is handed over. */
export function checkPortArgument(port: unknown): void {
  if (typeof port === 'string' && /^\d+$/.test(port)) {
    checkPort('options.port', Number(port))
    return
  }
  if (port === undefined)
    throw new ArgumentTypeError('options.port', 'of type number or string', port)
  checkPort('options.port', port)
}
