/**
 * Replaces a socket's `_final` and destroySoon(). Makes no shutdown() where none may precede close(2). Otherwise, finds
 * whose FIN is first: that decides who keeps TIME_WAIT, and the kernel does not report it afterwards.
 */
import type * as net from 'node:net'
import type { Final } from '../node/closing'
import { transportFd } from '../node/handle'
import { isPeerFirst, orderOfFins, watchFins } from './fin-order'
import { kHooks, type Hooked, type HookedConnection, type Hooks } from './hooked-connection'
import type { ClosePolicy } from './mode'
import { endReading, hasPeerEnded } from './on-end'
import { isTls } from './tls'
import { finishWithoutShutdown } from './without-shutdown'

/** In place of destroySoon(). */
export function destroySoonHooked(this: net.Socket & Hooked): void {
  const hooks = this[kHooks]
  if (hooks !== undefined && !this.writableEnded) {
    hooks.connection.destroysSoon = true
    closesWhenFinished(hooks.connection)
  }
  hooks?.destroySoon?.call(this)
}

/** close(2) follows once everything is written. The mode decides whether a shutdown() may precede it. */
function closesWhenFinished(connection: HookedConnection): void {
  const withoutShutdown = connection.policy?.options.mode.withoutShutdown ?? false
  if (withoutShutdown !== false) connection.skipsShutdown = true
}

/** In place of `_final`. */
export function finalHooked(
  this: net.Socket & Hooked,
  callback: (error?: Error | null) => void,
): void {
  const hooks = this[kHooks] as Hooks & { final: Final }
  const { connection } = hooks
  // Node calls _final again when the socket is connected.
  if (connection.destroysSoon || !closesOnEnd(connection.policy) || this.pending) {
    finishWriting(this, hooks, callback)
    return
  }
  closesWhenFinished(connection)
  this.once('finish', destroySelf)
  endReading(this, () => {
    if (this.destroyed) callback()
    else finishWriting(this, hooks, callback)
  })
}

/** Whether end() closes the socket. */
export function closesOnEnd(policy: ClosePolicy | undefined): boolean {
  return policy?.options.onEnd === 'close'
}

function destroySelf(this: net.Socket): void {
  this.destroy()
}

function finishWriting(
  socket: net.Socket,
  { connection, final }: { readonly connection: HookedConnection; readonly final: Final },
  callback: (error?: Error | null) => void,
): void {
  const { policy, skipsShutdown } = connection
  if (policy !== undefined && skipsShutdown) finishWithoutShutdown(socket, policy, final, callback)
  else endByShutdown(socket, connection, final, callback)
}

/** Lets Node send the FIN of end() by shutdown(), and finds whose FIN is first. */
export function endByShutdown(
  socket: net.Socket,
  connection: HookedConnection,
  final: Final,
  callback: (error?: Error | null) => void,
): void {
  // Node calls _final again when the socket is connected.
  if (socket.pending) {
    final.call(socket, callback)
    return
  }
  // On TLS the stream ends by close_notify, before the FIN.
  if (hasPeerEnded(socket) && !isTls(socket) && isPeerFirst(transportFd(socket)))
    connection.finOrder = 'theirs'
  if (connection.finOrder === 'theirs') {
    final.call(socket, callback)
    return
  }
  let isOver = false as boolean
  final.call(socket, (error) => {
    isOver = true
    if (error !== undefined && error !== null) connection.fins = undefined
    settleOrder(socket, connection)
    callback(error)
  })
  // On TLS, close_notify has been written by now.
  const fd = transportFd(socket)
  if (!isOver && fd >= 0) connection.fins = watchFins(fd)
}

/** Finds the order of the FINs if shutdown() was under way. */
export function settleOrder(socket: net.Socket, connection: HookedConnection): void {
  const { fins } = connection
  const fd = transportFd(socket)
  if (fins === undefined || fd < 0) return
  connection.fins = undefined
  connection.finOrder = orderOfFins(fd, fins)
}
