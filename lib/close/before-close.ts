/** Replaces a socket's `_destroy`: before close(2), whoever calls it, the close mode makes the last system calls. */
import type * as net from 'node:net'
import { closeWithoutReset, isResetting } from '../node/closing'
import { refuseConnect } from '../node/connecting'
import { transportFd } from '../node/handle'
import { holdsCleartext } from '../node/tls'
import { conclude } from './conclude'
import { settleOrder } from './end-writing'
import { kHooks, type Hooked, type HookedConnection } from './hooked-connection'
import type { CloseMode, ClosePolicy, Done, Ending } from './mode'
import { closedByNode, closedWithoutDescriptor } from './modeless-outcome'
import { closeModes, type Closed, type Observer } from './modes'
import { hasPeerEnded } from './on-end'
import { forgetTimeout, modeByReason } from './reason'

/** In place of `_destroy`. */
export function destroyHooked(
  this: net.Socket & Hooked,
  error: Error | null,
  callback: (error: Error | null) => void,
): void {
  const { connecting } = this
  const hooks = this[kHooks]
  if (hooks !== undefined) beforeClose(this, hooks.connection, error)
  hooks?.destroy?.call(this, error, callback)
  if (connecting) refuseConnect(this)
}

/** Also resets the state of this connection, since the socket may be connected again. */
function beforeClose(carrier: net.Socket, connection: HookedConnection, error: Error | null): void {
  const { policy, observers, above } = connection
  settleOrder(carrier, connection)
  const { finOrder } = connection
  connection.finOrder = undefined
  connection.above = undefined
  connection.skipsShutdown = false
  connection.destroysSoon = false
  if (policy === undefined) {
    connection.last = undefined
    if (observers.length > 0 || isResetting(carrier))
      notify(observers, closedByNode(carrier, finOrder))
    return
  }
  if (policy.awaited !== undefined) {
    connection.policy = policy.awaited.standing
    policy.awaited.begun()
  }
  const wasOver = hasNotOpened(carrier, policy.socket, error)
  const done: Done = (result) => {
    const outcome = conclude(wasOver ? { ...result, wasOver } : result, policy)
    policy.armed = false
    policy.held = false
    connection.last = outcome
    notify(observers, outcome)
  }
  const fd = transportFd(policy.socket)
  if (fd < 0) {
    done(closedWithoutDescriptor(carrier, policy))
    return
  }
  const ending: Ending = { policy, fd, finOrder, streamEnded: hasPeerEnded(above ?? policy.socket) }
  const mode = modeFor(policy, error)
  if (isResetting(carrier)) {
    // resetAndDestroy() overrides the mode. libuv would refuse it while a shutdown is under way.
    closeWithoutReset(carrier)
    closeModes.reset.close(ending, done)
    return
  }
  mode.close(ending, done)
}

/** A closeSocket() keeps the mode that its caller chose. */
function modeFor(policy: ClosePolicy, error: Error | null): CloseMode {
  const { awaited, options, socket } = policy
  if (awaited !== undefined) return options.mode
  const chosen = modeByReason(options, socket, error ?? socket.errored)
  if (options.onTimeout !== undefined) forgetTimeout(socket)
  return chosen
}

/** Whether connect() or the TLS handshake failed: 'error' reports it, and nothing could have been sent. */
function hasNotOpened(
  carrier: net.Socket,
  socket: net.Socket,
  error: NodeJS.ErrnoException | null,
): boolean {
  const failure = error ?? socket.errored
  if (failure === null) return false
  return carrier.pending || error?.syscall === 'connect' || holdsCleartext(socket)
}

/** An observer may stop observing when it is called. */
function notify(observers: readonly Observer[], outcome: Closed): void {
  for (const observer of [...observers]) observer(outcome)
}
