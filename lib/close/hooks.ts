/**
 * Replaces what closes a socket, and attaches policies and observers to the connection. The replaced methods act whoever
 * closes the socket: the program, a framework or Node.
 */
import type * as net from 'node:net'
import {
  destroyAfterCarrier,
  followTlsFinals,
  replaceDestroy,
  replaceDestroySoon,
  replaceFinal,
} from '../node/closing'
import { carrierOf, transportFd } from '../node/handle'
import { watchHandshake } from '../node/tls'
import { connectionState } from '../observe/tcp-info'
import { destroyHooked } from './before-close'
import { closesOnEnd, destroySoonHooked, endByShutdown, finalHooked } from './end-writing'
import {
  connectionOf,
  hooksOf,
  kHooks,
  type Hooked,
  type HookedConnection,
} from './hooked-connection'
import type { ClosePolicy } from './mode'
import type { Closed, Observer } from './modes'
import { disposeAsNode, disposeByEnd } from './on-end'
import { watchTimeout } from './reason'
import { finOrderIn, type FinOrder } from './time-wait'

/** The policy in force on a socket. */
export function policyOf(socket: net.Socket): ClosePolicy | undefined {
  return connectionOf(socket)?.policy
}

/** The outcome of the most recent close of a socket, if it was under a policy. */
export function lastClose(socket: net.Socket): Closed | undefined {
  return connectionOf(socket)?.last
}

/** Puts a socket under a policy, which replaces an earlier one. */
export function attachPolicy(policy: ClosePolicy): void {
  const { socket } = policy
  const { onTimeout, deadlineMs } = policy.options
  const connection = hook(socket)
  const disposedByEnd = closesOnEnd(connection.policy)
  connection.policy = policy
  watchHandshake(socket)
  if (onTimeout !== undefined) watchTimeout(socket)
  if (closesOnEnd(policy)) disposeByEnd(socket, deadlineMs)
  else if (disposedByEnd) disposeAsNode(socket)
}

/** Restores Node's own close. */
export function detachPolicy(socket: net.Socket): void {
  const connection = connectionOf(socket)
  if (connection === undefined) return
  if (closesOnEnd(connection.policy)) disposeAsNode(socket)
  connection.policy = undefined
}

/** Calls `observer` when the socket's connection is closed, whether under a policy or not. */
export function observeClose(socket: net.Socket, observer: Observer): void {
  const { observers } = hook(socket)
  if (!observers.includes(observer)) observers.push(observer)
}

export function stopObserving(socket: net.Socket, observer: Observer): void {
  const observers = connectionOf(socket)?.observers ?? []
  const index = observers.indexOf(observer)
  if (index >= 0) observers.splice(index, 1)
}

function hook(socket: net.Socket): HookedConnection {
  followTls()
  const carrier = carrierOf(socket)
  const below = hooksOf(carrier, undefined)
  const { connection } = below
  below.destroy ??= replaceDestroy(carrier, destroyHooked)
  const hooks = hooksOf(socket, connection)
  if (hooks.final !== undefined) return connection
  if (socket !== carrier) destroyAfterCarrier(socket, carrier)
  hooks.final = replaceFinal(socket, finalHooked)
  hooks.destroySoon = replaceDestroySoon(socket, destroySoonHooked)
  if (socket.writableEnded) connection.finOrder ??= presumedOrder(socket)
  return connection
}

let followsTls = false

/** The program may put TLS over a socket that has hooks. */
function followTls(): void {
  if (followsTls) return
  followsTls = true
  followTlsFinals((socket: net.Socket & Hooked, carrier: net.Socket & Hooked, own, callback) => {
    const connection = carrier[kHooks]?.connection
    if (connection === undefined || socket[kHooks] !== undefined) {
      own.call(socket, callback)
      return
    }
    connection.above = socket
    endByShutdown(socket, connection, own, callback)
  })
}

/** For a socket that was ended before it was hooked. */
function presumedOrder(socket: net.Socket): FinOrder | undefined {
  const fd = transportFd(socket)
  if (fd < 0) return undefined
  // In state CLOSE the order is unknown. A report of an entry that does not exist does less harm than a hidden one.
  return finOrderIn(connectionState(fd).state) ?? 'ours'
}
