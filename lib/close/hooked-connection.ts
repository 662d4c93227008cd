/** The state of a socket whose close was replaced: that of its connection, and its own methods. */
import type * as net from 'node:net'
import { carrierOf } from '../node/handle'
import type { Destroy, DestroySoon, Final } from '../node/closing'
import type { FinWatch } from './fin-order'
import type { ClosePolicy } from './mode'
import type { Closed, Observer } from './modes'
import type { FinOrder } from './time-wait'

/** One connection. A TLS socket and the socket that carries it share one. */
export interface HookedConnection {
  policy: ClosePolicy | undefined
  /** Called after each close, whether under a policy or not. */
  readonly observers: Observer[]
  finOrder: FinOrder | undefined
  /** Set while shutdown() is under way. */
  fins: FinWatch | undefined
  /** A TLS socket that the program put over a socket with hooks, and that ended the connection. */
  above: net.Socket | undefined
  /** close(2) sends the FIN or the RST, and no shutdown() precedes it. */
  skipsShutdown: boolean
  /** The close was begun by destroySoon(), not by end(). */
  destroysSoon: boolean
  /** The most recent close. */
  last: Closed | undefined
}

/** The original methods of a socket. */
export interface Hooks {
  connection: HookedConnection
  destroy: Destroy | undefined
  destroySoon: DestroySoon | undefined
  final: Final | undefined
}

export const kHooks = Symbol('socket-tuner close hooks')

export interface Hooked {
  [kHooks]?: Hooks
}

/** The state of a socket's connection; undefined if its close was never replaced. */
export function connectionOf(socket: net.Socket): HookedConnection | undefined {
  const hooks = (carrierOf(socket) as Hooked)[kHooks] ?? (socket as Hooked)[kHooks]
  return hooks?.connection
}

/** The hooks of a socket, which shares `connection` with the socket that carries it. */
export function hooksOf(
  socket: net.Socket & Hooked,
  connection: HookedConnection | undefined,
): Hooks {
  const hooks: Hooks = socket[kHooks] ?? {
    connection: connection ?? newConnection(),
    destroy: undefined,
    destroySoon: undefined,
    final: undefined,
  }
  if (connection !== undefined) hooks.connection = connection
  socket[kHooks] = hooks
  return hooks
}

function newConnection(): HookedConnection {
  return {
    policy: undefined,
    observers: [],
    finOrder: undefined,
    fins: undefined,
    above: undefined,
    skipsShutdown: false,
    destroysSoon: false,
    last: undefined,
  }
}
