/**
 * What destroy() and destroySoon() of a socket do.
 *
 * A socket under a policy has two of its own methods: `_destroy`, which Node's stream calls once
 * however the socket comes to be closed, and through which the last system calls before close(2)
 * are made; and `destroySoon`, which http servers and agents call, so that no shutdown() goes before
 * the close where none may.
 */
import type * as net from 'node:net'
import { handleOf, transportHandleOf } from '../target'
import { announce } from '../warnings'
import { closeAndForget } from './deliver'
import { closeWithFin } from './fin'
import { closeLingering } from './lingering'
import { bytesNotInKernel } from './pending'
import type { CloseMode, CloseOutcome } from './report'
import { closeWithReset } from './reset'
import { isTls } from './tls'

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
}

export interface ClosePolicy extends PolicyOptions {
  /** The socket that the program writes to: the TLS one where there is one. */
  socket: net.Socket
  /** TCP_LINGER2 is in force already: the listening socket handed it down. */
  armed: boolean
  /** The program waits for this close, so lost bytes are told in its report and not by a warning. */
  awaited: boolean
  /** Told once, when the connection is closed; for a lingering close that is later than 'close'. */
  closed?: Done | undefined
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

/** The parts of a net.Socket that a policy replaces or calls; Node's typings leave most of them out. */
interface Internals {
  [kPolicy]?: ClosePolicy | undefined
  [kDestroy]?: Destroy
  [kDestroySoon]?: () => void
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
  if (carrier[kPolicy] !== undefined) policy.armed ||= carrier[kPolicy].armed
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
  if (policy !== undefined) {
    this[kPolicy] = undefined
    if (this.resetAndClosing === true) byNodesOwnReset(policy)
    else beforeClose(policy, error)
  }
  this[kDestroy]?.(error, callback)
}

/** resetAndDestroy() says what it wants, and libuv does it. */
function byNodesOwnReset({ socket, closed }: ClosePolicy): void {
  closed?.({
    mode: 'reset',
    discardedBytes: bytesNotInKernel(socket),
    unreadBytes: 0,
    timeWait: 'avoided',
  })
}

function beforeClose(policy: ClosePolicy, error: Error | null): void {
  const { socket, closed } = policy
  const done: Done = (outcome) => {
    if (!policy.awaited && outcome.discardedBytes > 0 && outcome.mode !== 'reset')
      tellDiscarded(outcome)
    closed?.(outcome)
  }
  const fd = transportHandleOf(socket)?.fd ?? -1
  if (fd < 0 || isTransportError(error)) {
    // The kernel has closed the connection, or was never asked to open one.
    done({
      mode: policy.mode,
      discardedBytes: bytesNotInKernel(socket),
      unreadBytes: 0,
      timeWait: fd < 0 ? 'unknown' : 'avoided',
    })
    return
  }
  closers[policy.mode](policy, fd, done)
}

function tellDiscarded({ discardedBytes }: CloseOutcome): void {
  announce(
    'SOCKET_TUNER_DESTROY_DISCARDS',
    'destroy',
    `destroy() threw away ${String(discardedBytes)} bytes that were not in the kernel yet`,
  )
}

/** An error of a system call on the connection: by then the kernel has dropped it. */
function isTransportError(error: Error | null): boolean {
  const syscall = (error as { syscall?: string } | null)?.syscall
  return syscall === 'read' || syscall === 'write' || syscall === 'connect'
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
function withoutShutdown(socket: Internals, { mode, closeNotify }: ClosePolicy): void {
  const final = socket._final
  const notify = closeNotify && mode === 'deliver' && isTls(socket)
  socket._final = function (callback) {
    // On TLS Node's own way writes close_notify in this tick and asks libuv for a shutdown(), which
    // libuv makes in the next turn of its loop; the destroy() that follows 'finish' comes before
    // that and cancels it.
    if (notify) final.call(this, ignore)
    callback()
  }
}

function ignore(): void {
  // The shutdown is cancelled on purpose.
}
