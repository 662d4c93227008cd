/**
 * What goes before a socket's close, whoever closes it. The last system calls before close(2) are made
 * in its `_destroy`. destroySoon() is replaced so that no shutdown() goes before the close where none
 * may, and `_final` because who keeps TIME_WAIT depends on whose FIN was first, which the kernel does not
 * tell afterwards.
 */
import type * as net from 'node:net'
import { native } from '../kernel/binding'
import {
  closeWithoutReset,
  destroyAfterCarrier,
  isResetting,
  replaceDestroy,
  replaceDestroySoon,
  replaceFinal,
  type Destroy,
  type DestroySoon,
  type Final,
} from '../node/closing'
import { refuseConnect } from '../node/connecting'
import { carrierOf, transportFd, transportHandleOf } from '../node/handle'
import { holdsCleartext, watchHandshake } from '../node/tls'
import { connectionState } from '../observe/tcp-info'
import { announce } from '../warnings'
import { fallback } from './fallback'
import { bytesNotInKernel } from './pending'
import type { CloseOutcome, ClosePolicy, Done, Ending } from './mode'
import { closeModes, type Closed, type Observer } from './modes'
import { setResetOnClose } from './reset-cost'
import { countClose } from './tally'
import { finOrderIn, hasPeerFinished, timeWaitOf, type FinOrder } from './time-wait'
import { isTls } from './tls'
import { finishWithoutShutdown } from './without-shutdown'

/** One connection: a TLS socket and the socket that carries it share one. */
interface Connection {
  policy: ClosePolicy | undefined
  /** Called for each close, under a policy or not. */
  readonly observers: Observer[]
  finOrder: FinOrder | undefined
  /** destroySoon() was called: the FIN or the RST goes out with close(2), not by shutdown(). */
  skipsShutdown: boolean
  /** The most recent close. */
  last: Closed | undefined
}

/** What a socket had in place of the methods that were replaced. */
interface Hooks {
  connection: Connection
  destroy?: Destroy
  destroySoon?: DestroySoon
  final?: Final
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

/** What the most recent close of a socket came to, if it was under a policy. */
export function lastClose(socket: net.Socket): Closed | undefined {
  return connectionOf(socket)?.last
}

/** Puts a socket under a policy, in place of one that it may be under already. */
export function attachPolicy(policy: ClosePolicy): void {
  hook(policy.socket).policy = policy
  watchHandshake(policy.socket)
}

/** Lets a socket close as Node does. */
export function detachPolicy(socket: net.Socket): void {
  const connection = connectionOf(socket)
  if (connection !== undefined) connection.policy = undefined
}

/** Has `observer` called when the socket's connection is closed, under a policy or not. */
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

function hooksOf(socket: net.Socket & Hooked, connection: Connection | undefined): Hooks {
  const hooks: Hooks = socket[kHooks] ?? { connection: connection ?? newConnection() }
  if (connection !== undefined) hooks.connection = connection
  socket[kHooks] = hooks
  return hooks
}

function newConnection(): Connection {
  return {
    policy: undefined,
    observers: [],
    finOrder: undefined,
    skipsShutdown: false,
    last: undefined,
  }
}

/** For a socket that was ended before it was hooked. */
function presumedOrder(socket: net.Socket): FinOrder | undefined {
  const fd = transportFd(socket)
  if (fd < 0) return undefined
  // In state CLOSE the order cannot be known any more: better an entry reported in vain than a hidden one.
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

/** The socket may be connected again afterwards: what concerns this connection only is taken back. */
function beforeClose(carrier: net.Socket, connection: Connection, error: Error | null): void {
  const { policy, finOrder, observers } = connection
  connection.finOrder = undefined
  connection.skipsShutdown = false
  if (policy === undefined) {
    connection.last = undefined
    if (observers.length > 0 || isResetting(carrier))
      tell(observers, closedByNode(carrier, finOrder))
    return
  }
  if (policy.awaited !== undefined) {
    connection.policy = policy.awaited.standing
    policy.awaited.begun()
  }
  const wasOver = hasNotOpened(carrier, policy.socket, error)
  const done: Done = (result) => {
    const outcome = withCause(wasOver ? { ...result, wasOver } : result, policy) as Closed
    policy.armed = false
    policy.held = false
    connection.last = outcome
    countClose(outcome)
    warn(outcome, policy)
    tell(observers, outcome)
  }
  const fd = transportFd(policy.socket)
  if (fd < 0) {
    done(withoutDescriptor(carrier, policy))
    return
  }
  const ending: Ending = { policy, fd, finOrder }
  if (isResetting(carrier)) {
    // resetAndDestroy() says what it wants; libuv refuses it while a shutdown is under way.
    closeWithoutReset(carrier)
    closeModes.reset.close(ending, done)
    return
  }
  policy.mode.close(ending, done)
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
function tell(observers: readonly Observer[], outcome: Closed): void {
  for (const observer of [...observers]) observer(outcome)
}

/**
 * What a close without a policy comes to: it is only seen. But of resetAndDestroy() while a shutdown is under
 * way, which libuv refuses, Node would send no RST, leave the descriptor open for ever and emit no 'close'.
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
  const peerFinished = hasPeerFinished(fd, state, transportHandleOf(carrier)?.bytesRead)
  const timeWait = timeWaitOf(
    { ...state, finOrder, peerFinished, streamEnded: carrier.readableEnded },
    by,
  )
  return { mode: by, discardedBytes, unreadBytes, timeWait, byNode: true }
}

/** Nothing of the kernel's can be set: the socket is not open yet, runs over another stream, or on Windows. */
function withoutDescriptor(carrier: net.Socket, { socket, mode }: ClosePolicy): CloseOutcome {
  const rest = { discardedBytes: bytesNotInKernel(socket), unreadBytes: 0 }
  if (isResetting(carrier)) return { mode: 'reset', timeWait: 'avoided', ...rest }
  if (socket.pending) {
    const why = fallback('not-connected', 'the socket was not connected')
    return { mode: mode.name, fallback: why, timeWait: 'avoided', ...rest }
  }
  return lostDescriptor(rest.discardedBytes)
}

/** A close of which no system call can find out more. */
export function lostDescriptor(
  discardedBytes: number,
  cause = fallback('no-descriptor', 'the socket has no descriptor'),
): CloseOutcome {
  return { mode: 'fin', fallback: cause, timeWait: 'unknown', discardedBytes, unreadBytes: 0 }
}

function withCause(outcome: CloseOutcome, policy: ClosePolicy): CloseOutcome {
  const { cause } = policy
  if (cause === undefined) return outcome
  policy.cause = undefined
  const { fallback: found } = outcome
  if (found === undefined || found.code === cause.code) return { ...outcome, fallback: cause }
  return {
    ...outcome,
    fallback: { code: cause.code, message: `${cause.message}; ${found.message}` },
  }
}

function warn(outcome: Closed, { awaited, mode: asked }: ClosePolicy): void {
  const { discardedBytes, mode, timeWait, fallback, wasOver = false } = outcome
  const isMeant = closeModes[mode].atOnce
  if (awaited === undefined && !isMeant && !wasOver && discardedBytes > 0) {
    announce(
      'SOCKET_TUNER_DESTROY_DISCARDS',
      'destroy',
      `destroy() threw away ${String(discardedBytes)} bytes that were not in the kernel yet`,
    )
  }
  if (fallback?.code === 'ended' && timeWait === 'here') {
    announce(
      'SOCKET_TUNER_END_LEAVES_TIME_WAIT',
      asked.name,
      `A connection under close mode '${asked.name}' was ended by end(): its FIN went out first, and TIME_WAIT is left for 60 s`,
    )
  }
}

function destroySoonHooked(this: net.Socket & Hooked): void {
  const hooks = this[kHooks]
  const withoutShutdown = hooks?.connection.policy?.mode.withoutShutdown ?? false
  if (hooks !== undefined && !this.writableEnded && withoutShutdown !== false) {
    hooks.connection.skipsShutdown = true
  }
  hooks?.destroySoon?.call(this)
}

function finalHooked(this: net.Socket & Hooked, callback: (error?: Error | null) => void): void {
  const { connection, final } = this[kHooks] as Required<Hooks>
  const { policy, skipsShutdown } = connection
  if (policy !== undefined && skipsShutdown) finishWithoutShutdown(this, policy, final, callback)
  else finish(this, connection, final, callback)
}

/** end(): Node sends the FIN by shutdown(). Notes whose FIN was first. */
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
  if (socket.readableEnded && !isTls(socket)) connection.finOrder = 'theirs'
  else connection.finOrder = finOrderOf(socket)
  if (connection.finOrder !== 'ours') {
    final.call(socket, callback)
    return
  }
  final.call(socket, (error) => {
    // The peer's FIN may have come before libuv made the call.
    if (error !== undefined && error !== null) connection.finOrder = undefined
    else if (finOrderOf(socket) === 'theirs') connection.finOrder = 'theirs'
    callback(error)
  })
}

function finOrderOf(socket: net.Socket): FinOrder | undefined {
  const fd = transportFd(socket)
  return fd < 0 ? undefined : finOrderIn(connectionState(fd).state)
}
