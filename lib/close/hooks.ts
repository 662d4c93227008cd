/**
 * Runs before a socket's close, whoever closes it. The replaced `_destroy` makes the last system calls before close(2).
 * The replaced destroySoon() makes no shutdown() where none may precede the close. The replaced `_final` finds whose FIN
 * is first, which decides who keeps TIME_WAIT, and which the kernel does not report afterwards.
 */
import type * as net from 'node:net'
import { native } from '../kernel/binding'
import {
  closeWithoutReset,
  destroyAfterCarrier,
  followTlsFinals,
  isResetting,
  replaceDestroy,
  replaceDestroySoon,
  replaceFinal,
  type Destroy,
  type DestroySoon,
  type Final,
} from '../node/closing'
import { refuseConnect } from '../node/connecting'
import { carrierOf, transportFd } from '../node/handle'
import { holdsCleartext, watchHandshake } from '../node/tls'
import { connectionState } from '../observe/tcp-info'
import { conclude } from './conclude'
import { fallback } from './fallback'
import { isPeerFirst, orderOfFins, watchFins, type FinWatch } from './fin-order'
import { disposeAsNode, disposeByEnd, endReading, hasPeerEnded } from './on-end'
import { bytesNotInKernel, transferred } from './pending'
import type { CloseMode, CloseOutcome, ClosePolicy, Done, Ending } from './mode'
import { closeModes, type Closed, type Observer } from './modes'
import { forgetTimeout, modeByReason, watchTimeout } from './reason'
import { setResetOnClose } from './reset-cost'
import { finOrderIn, finishedAtEnd, timeWaitOf, type FinOrder } from './time-wait'
import { isTls } from './tls'
import { finishWithoutShutdown } from './without-shutdown'

/** One connection. A TLS socket and the socket that carries it share one. */
interface Connection {
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
interface Hooks {
  connection: Connection
  destroy: Destroy | undefined
  destroySoon: DestroySoon | undefined
  final: Final | undefined
}

const kHooks = Symbol('socket-tuner close hooks')

interface Hooked {
  [kHooks]?: Hooks
}

function connectionOf(socket: net.Socket): Connection | undefined {
  const hooks = (carrierOf(socket) as Hooked)[kHooks] ?? (socket as Hooked)[kHooks]
  return hooks?.connection
}

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

function hook(socket: net.Socket): Connection {
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
    finish(socket, connection, own, callback)
  })
}

function hooksOf(socket: net.Socket & Hooked, connection: Connection | undefined): Hooks {
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

function newConnection(): Connection {
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

/** For a socket that was ended before it was hooked. */
function presumedOrder(socket: net.Socket): FinOrder | undefined {
  const fd = transportFd(socket)
  if (fd < 0) return undefined
  // In state CLOSE the order is unknown. A report of an entry that does not exist does less harm than a hidden one.
  return finOrderIn(connectionState(fd).state) ?? 'ours'
}

function destroyHooked(
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
function beforeClose(carrier: net.Socket, connection: Connection, error: Error | null): void {
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
    done(withoutDescriptor(carrier, policy))
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

/**
 * The outcome of a close without a policy, which is only observed. The exception is resetAndDestroy() while a shutdown is
 * under way. libuv refuses it, and Node would send no RST, leave the descriptor open for ever and emit no 'close'.
 */
function closedByNode(carrier: net.Socket, finOrder: FinOrder | undefined): Closed {
  const discardedBytes = bytesNotInKernel(carrier)
  const fd = transportFd(carrier)
  const isReset = isResetting(carrier)
  if (fd < 0) {
    const timeWait = isReset || carrier.pending ? 'avoided' : 'unknown'
    const mode = isReset ? 'reset' : 'fin'
    return { mode, discardedBytes, unreadBytes: 0, timeWait, byNode: true }
  }
  if (isReset) {
    closeWithoutReset(carrier)
    setResetOnClose(fd)
  }
  const state = connectionState(fd)
  const unreadBytes = Math.max(0, native.unreadBytes(fd))
  // close() with unread input sends a RST: RFC 2525 section 2.17.
  const by = isReset || unreadBytes > 0 ? 'reset' : 'fin'
  const finished = finishedAtEnd(fd, state, transferred(carrier, 0), finOrder)
  const timeWait = timeWaitOf({ ...state, ...finished, streamEnded: hasPeerEnded(carrier) }, by)
  return { mode: by, discardedBytes, unreadBytes, timeWait, byNode: true }
}

/** For a socket without a descriptor: one that is not open yet, that runs over another stream, or on Windows. */
function withoutDescriptor(carrier: net.Socket, { socket, options }: ClosePolicy): CloseOutcome {
  const rest = { discardedBytes: bytesNotInKernel(socket), unreadBytes: 0 }
  if (isResetting(carrier)) return { mode: 'reset', timeWait: 'avoided', ...rest }
  if (socket.pending) {
    const why = fallback('not-connected', 'the socket was not connected')
    return { mode: options.mode.name, fallback: why, timeWait: 'avoided', ...rest }
  }
  return lostDescriptor(rest.discardedBytes)
}

/** The outcome of a close about which the kernel can report nothing. */
export function lostDescriptor(
  discardedBytes: number,
  cause = fallback('no-descriptor', 'the socket has no descriptor'),
): CloseOutcome {
  return { mode: 'fin', fallback: cause, timeWait: 'unknown', discardedBytes, unreadBytes: 0 }
}

function destroySoonHooked(this: net.Socket & Hooked): void {
  const hooks = this[kHooks]
  if (hooks !== undefined && !this.writableEnded) {
    hooks.connection.destroysSoon = true
    closesWhenFinished(hooks.connection)
  }
  hooks?.destroySoon?.call(this)
}

/** close(2) follows once everything is written. The mode decides whether a shutdown() may precede it. */
function closesWhenFinished(connection: Connection): void {
  const withoutShutdown = connection.policy?.options.mode.withoutShutdown ?? false
  if (withoutShutdown !== false) connection.skipsShutdown = true
}

function finalHooked(this: net.Socket & Hooked, callback: (error?: Error | null) => void): void {
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

function closesOnEnd(policy: ClosePolicy | undefined): boolean {
  return policy?.options.onEnd === 'close'
}

function destroySelf(this: net.Socket): void {
  this.destroy()
}

function finishWriting(
  socket: net.Socket,
  { connection, final }: { readonly connection: Connection; readonly final: Final },
  callback: (error?: Error | null) => void,
): void {
  const { policy, skipsShutdown } = connection
  if (policy !== undefined && skipsShutdown) finishWithoutShutdown(socket, policy, final, callback)
  else finish(socket, connection, final, callback)
}

/** Lets Node send the FIN of end() by shutdown(), and finds whose FIN is first. */
function finish(
  socket: net.Socket,
  connection: Connection,
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
function settleOrder(socket: net.Socket, connection: Connection): void {
  const { fins } = connection
  const fd = transportFd(socket)
  if (fins === undefined || fd < 0) return
  connection.fins = undefined
  connection.finOrder = orderOfFins(fd, fins)
}
