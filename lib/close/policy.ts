/**
 * What destroy() and destroySoon() of a socket do.
 *
 * A socket under a policy has two of its own methods: `_destroy`, which Node's stream calls once
 * however the socket comes to be closed, and through which the last system calls before close(2)
 * are made; and `destroySoon`, which http servers and agents call, so that no shutdown() goes before
 * the close where none may.
 */
import type * as net from 'node:net'
import { native } from '../binding'
import { handleOf, transportHandleOf } from '../target'
import { announce } from '../warnings'
import { closeAndForget } from './deliver'
import { closeWithFin } from './fin'
import { closeLingering } from './lingering'
import type { LingeringGroup } from './lingering-group'
import { bytesNotInKernel, hasSendRoom, isAcknowledged } from './pending'
import { pollUntil } from './poll'
import type { CloseMode, CloseOutcome } from './report'
import { closeWithReset } from './reset'
import { countClose } from './tally'
import { awaitsTickets, hasRead, isTls } from './tls'

/** What of a policy the caller chooses. */
export interface PolicyOptions {
  mode: CloseMode
  /** `deliver` falls back to `fin` on a connection without TCP timestamps. */
  requireTimestamps: boolean
  /** On TLS, close_notify goes out before the FIN. */
  closeNotify: boolean
  /** Deadline of a lingering close in all, ms. */
  timeoutMs: number
  /** And from the last byte received, ms. */
  idleTimeoutMs: number
  /** How much it throws away, bytes. */
  maxDiscardBytes: number
  /** How many of its group linger at once. */
  maxLingering: number
}

export interface ClosePolicy extends PolicyOptions {
  /** The socket that the program writes to: the TLS one where there is one. */
  socket: net.Socket
  /** TCP_LINGER2 is in force already: the listening socket handed it down. */
  armed: boolean
  /** The close has waited already for the peer to acknowledge everything but close_notify. */
  held?: boolean
  /** Connections that share a limit on how many linger; without one, all of this thread that have none. */
  lingering?: LingeringGroup | undefined
  /** Told once per connection, when it is closed; for a lingering close that is later than 'close'. */
  closed?: Done | undefined
  /** Set while a program waits for this close: the standing policy that it stands in for. */
  awaited?: { readonly standing: ClosePolicy | undefined; readonly since: number }
  /** Makes a reset of a connection that was taken over from its net.Socket. */
  abort?: (() => void) | undefined
}

/** Told of a close when it is complete. */
export type Done = (outcome: CloseOutcome) => void

/** Each makes the last system calls before close(2) of a connected socket. */
const closers: Readonly<Record<CloseMode, (policy: ClosePolicy, fd: number, done: Done) => void>> =
  {
    fin: closeWithFin,
    deliver: closeAndForget,
    lingering: closeLingering,
    reset: closeWithReset,
  }

type Destroy = (error: Error | null, callback: (error: Error | null) => void) => void
type Final = (this: unknown, callback: (error?: Error | null) => void) => void

const kPolicy = Symbol('socket-tuner close policy')
const kDestroy = Symbol('socket-tuner _destroy')
const kDestroySoon = Symbol('socket-tuner destroySoon')
const kFinal = Symbol('socket-tuner _final')

/** The parts of a net.Socket that a policy replaces or calls; Node's typings leave most of them out. */
interface Internals {
  [kPolicy]?: ClosePolicy | undefined
  [kDestroy]?: Destroy
  [kDestroySoon]?: () => void
  [kFinal]?: Final | undefined
  _destroy: Destroy
  _final: Final
  destroySoon: () => void
  resetAndClosing?: boolean
}

function internalsOf(socket: net.Socket): Internals {
  return socket as unknown as Internals
}

/** The socket whose close closes the connection: the one that a TLS socket was laid over, if any. */
function carrierOf(socket: net.Socket): net.Socket {
  return handleOf(socket)?._parentWrap ?? socket
}

/** The policy in force on a socket. */
export function policyOf(socket: net.Socket): ClosePolicy | undefined {
  return internalsOf(carrierOf(socket))[kPolicy]
}

/** Puts a socket under a policy, in place of one that it may be under already. */
export function attachPolicy(policy: ClosePolicy): void {
  const carrier = internalsOf(carrierOf(policy.socket))
  carrier[kPolicy] = policy
  if (carrier[kDestroy] === undefined) {
    carrier[kDestroy] = carrier._destroy
    carrier._destroy = destroyUnderPolicy
  }
  const socket = internalsOf(policy.socket)
  if (socket[kDestroySoon] === undefined) {
    socket[kDestroySoon] = socket.destroySoon
    socket.destroySoon = destroySoonUnderPolicy
  }
}

/** Lets a socket close as Node does. */
export function detachPolicy(socket: net.Socket): void {
  internalsOf(carrierOf(socket))[kPolicy] = undefined
}

function destroyUnderPolicy(
  this: Internals,
  error: Error | null,
  callback: (error: Error | null) => void,
): void {
  const policy = this[kPolicy]
  if (policy !== undefined) beforeClose(this, policy)
  this[kDestroy]?.(error, callback)
}

/** The socket may be connected again afterwards: what concerns this connection only is taken back. */
function beforeClose(carrier: Internals, policy: ClosePolicy): void {
  const { socket, closed } = policy
  carrier[kPolicy] = policy.awaited === undefined ? policy : policy.awaited.standing
  restoreFinal(internalsOf(socket))
  const done: Done = (outcome) => {
    policy.armed = false
    policy.held = false
    countClose(outcome, policy.mode)
    const { discardedBytes, mode, wasOver = false } = outcome
    const byDestroy = policy.awaited === undefined && mode !== 'reset' && !wasOver
    if (byDestroy && discardedBytes > 0) tellDiscarded(outcome)
    closed?.(outcome)
  }
  const fd = transportHandleOf(socket)?.fd ?? -1
  if (fd < 0) {
    done(withoutDescriptor(carrier, policy))
    return
  }
  if (carrier.resetAndClosing === true) {
    // resetAndDestroy() says what it wants; libuv refuses it while a shutdown is under way.
    carrier.resetAndClosing = false
    closeWithReset(policy, fd, done)
    return
  }
  closers[policy.mode](policy, fd, done)
}

/** Nothing of the kernel's can be set: the socket is not open yet, runs over another stream, or on Windows. */
function withoutDescriptor(
  { resetAndClosing }: Internals,
  { socket, mode }: ClosePolicy,
): CloseOutcome {
  const rest = { discardedBytes: bytesNotInKernel(socket), unreadBytes: 0 }
  if (resetAndClosing === true) return { mode: 'reset', timeWait: 'avoided', ...rest }
  if (socket.pending) {
    return { mode, fallback: 'the socket was not connected', timeWait: 'avoided', ...rest }
  }
  return { mode: 'fin', fallback: 'the socket has no descriptor', timeWait: 'unknown', ...rest }
}

function tellDiscarded({ discardedBytes }: CloseOutcome): void {
  announce(
    'SOCKET_TUNER_DESTROY_DISCARDS',
    'destroy',
    `destroy() threw away ${String(discardedBytes)} bytes that were not in the kernel yet`,
  )
}

function destroySoonUnderPolicy(this: Internals & net.Socket): void {
  const policy = policyOf(this)
  if (
    policy !== undefined &&
    !this.writableEnded &&
    (policy.mode === 'deliver' || policy.mode === 'reset')
  ) {
    withoutShutdown(this, policy)
  }
  this[kDestroySoon]?.()
}

/** Ends the stream's writing without a shutdown(): the FIN or RST goes out with close(). */
function withoutShutdown(socket: Internals & net.Socket, policy: ClosePolicy): void {
  if (socket[kFinal] !== undefined) return
  const { mode, closeNotify, timeoutMs } = policy
  const final = internalsOf(socket)._final
  const notify = closeNotify && mode === 'deliver' && isTls(socket)
  socket[kFinal] = final
  socket._final = (callback) => {
    if (socket.pending) {
      socket.once('connect', () => {
        callback()
      })
      return
    }
    // Known when the handshake is over, which it is when everything was written.
    const holds = mode === 'deliver' && awaitsTickets(socket)
    if (!notify && !holds) {
      callback()
      return
    }
    // On TLS Node's own way writes close_notify in this tick and asks libuv for a shutdown(), which
    // libuv makes in the next turn of its loop; the destroy() that follows 'finish' comes before
    // that and cancels it. A close_notify that had to wait for room would be cancelled with it.
    const deadline = performance.now() + timeoutMs
    const isLate = (): boolean => performance.now() > deadline
    const isReady = (): boolean => {
      const fd = transportHandleOf(socket)?.fd ?? -1
      if (fd < 0 || socket.destroyed) return true
      if (notify && !hasSendRoom(fd)) return false
      return !holds || isAcknowledged(fd) || isLate()
    }
    pollUntil(isReady, () => {
      if (socket.destroyed) return
      // Where nothing has come yet, the tickets have not either: the FIN waits for close_notify to be
      // acknowledged, too. Who has waited long enough does not wait again.
      const goesAtOnce = !holds || hasRead(socket) || isLate()
      policy.held = holds && goesAtOnce
      if (notify) {
        if (goesAtOnce) holdBack(socket)
        final.call(socket, ignore)
      }
      callback()
    })
  }
}

/** Lets close_notify leave together with the FIN, so that the peer cannot answer in between by a close. */
function holdBack(socket: net.Socket): void {
  const { IPPROTO_TCP, TCP_CORK } = native.constants
  const fd = transportHandleOf(socket)?.fd ?? -1
  if (fd < 0 || IPPROTO_TCP === undefined || TCP_CORK === undefined) return
  native.setInt(fd, IPPROTO_TCP, TCP_CORK, 1)
}

function restoreFinal(socket: Internals): void {
  if (socket[kFinal] === undefined) return
  socket._final = socket[kFinal]
  socket[kFinal] = undefined
}

function ignore(): void {
  // The shutdown is cancelled on purpose.
}
