import type * as net from 'node:net'
import { ArgumentTypeError } from '../errors'
import { carrierOf, transportFd } from '../node/handle'
import { isSessionSocket } from '../node/session-socket'
import { abortSignal, spec, type InputOf } from '../spec'
import { isStreamSocket } from '../target'
import { announce, hazardsThrow } from '../warnings'
import { fallback, type Fallback } from './fallback'
import { attachPolicy, lastClose, observeClose, policyOf, stopObserving } from './hooks'
import { close as closeOption, plainClose, type Close } from './close-options'
import { bytesNotInKernel } from './pending'
import { ClosePolicy, type Awaited, type PolicyOptions } from './mode'
import { lostDescriptor } from './modeless-outcome'
import { closeModes, type Closed, type CloseModeName } from './modes'
import { modeByReason } from './reason'
import type { CloseReport } from './close-report'

export const closeSocketOptions = spec({
  /** Cuts the close short when it is aborted, as the deadline does. */
  signal: abortSignal,
})

export type CloseSocketOptions = InputOf<typeof closeSocketOptions>

const kClosing = Symbol('socket-tuner close')

interface Closable {
  /**
   * The close that is under way, or the last one. A second call joins it, or turns it into a reset. A WeakMap of
   * short-lived sockets would cost the garbage collector more than all the rest of a close.
   */
  [kClosing]?: AwaitedClose
}

/** How long after the deadline the close of a stream that never emits 'close' is reported, ms. */
const GRACE_MS = 1_000

/**
 * Closes a socket in the given mode, and reports what happened to its bytes and its port.
 *
 * All modes but `reset` send everything that was written before. `fin` and `deliver` wait until the peer has
 * acknowledged it. Never blocks the event loop, and ends after `deadlineMs` at the latest: bytes that have not reached
 * the kernel by then are discarded and counted. The socket may be connecting, ended or already closed. A second call
 * returns the report of the first one, or turns that close into a reset.
 *
 * On Windows `reset` is Node's resetAndDestroy() and the other modes are `fin`.
 *
 * @throws (as a rejection) ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE,
 *   ERR_SOCKET_TUNER_UNKNOWN_OPTION; ERR_SOCKET_TUNER_HAZARD after `configure({ hazards: 'throw' })`, with
 *   the socket left open
 */
export function closeSocket(
  socket: net.Socket,
  close?: Close,
  options?: CloseSocketOptions,
): Promise<CloseReport> {
  try {
    return begin(socket, close, options)
  } catch (error) {
    return Promise.reject(error instanceof Error ? error : new Error(String(error)))
  }
}

function begin(
  socket: net.Socket,
  close: Close | undefined,
  options: CloseSocketOptions | undefined,
): Promise<CloseReport> {
  if (!isStreamSocket(socket)) {
    throw new ArgumentTypeError('socket', 'an instance of net.Socket or tls.TLSSocket', socket)
  }
  refuseSessionSocket(socket)
  const checked = closeFor(socket, close)
  const signal =
    options === undefined ? undefined : closeSocketOptions.check('options', options).signal
  const running = (socket as Closable)[kClosing]
  // A socket that is not destroyed after its close was connected again.
  if (running !== undefined && (socket.destroyed || !running.settled)) {
    running.watch(signal)
    if (checked.mode.atOnce) running.reset(checked)
    return running.report
  }
  if (socket.destroyed) {
    return Promise.resolve(alreadyClosed(socket, checked.mode.name as CloseModeName))
  }
  if (hazardsThrow()) throwHazards(socket, checked)
  const started = new AwaitedClose(socket, checked)
  ;(socket as Closable)[kClosing] = started
  const report = started.start()
  started.watch(signal)
  return report
}

/** The default is the standing close. */
function closeFor(socket: net.Socket, close: Close | undefined): PolicyOptions {
  const checked = closeOption.check('close', close)
  if (checked !== undefined) return checked
  const standing = policyOf(socket)
  if (standing === undefined) return plainClose(closeModes.fin)
  const { options } = standing
  const mode = modeByReason(options, socket, null)
  return mode === options.mode ? options : { ...options, mode }
}

/** `session.socket` of HTTP/2 is a proxy. Only the session knows what is still to be sent. */
function refuseSessionSocket(socket: net.Socket): void {
  if (isSessionSocket(socket)) {
    throw new ArgumentTypeError(
      'socket',
      'a socket that no HTTP/2 session owns (use session.close(), with setCloseMode(session, mode))',
      socket,
    )
  }
}

/** Reports a close that someone else made, as far as it was under a policy. It is not counted again. */
function alreadyClosed(socket: net.Socket, requested: CloseModeName): CloseReport {
  const { mode = 'fin', timeWait = 'unknown' } = lastClose(socket) ?? {}
  return {
    requested,
    mode,
    fallback: fallback('destroyed', 'the socket was already destroyed'),
    discardedBytes: 0,
    inFlightBytes: 0,
    unreadBytes: 0,
    timeWait,
    durationMs: 0,
  }
}

/** One close, from the call to the report. */
class AwaitedClose implements Awaited {
  readonly report: Promise<CloseReport>
  readonly standing: ClosePolicy | undefined
  readonly since = performance.now()
  settled = false
  readonly #socket: net.Socket
  readonly #requested: CloseModeName
  readonly #policy: ClosePolicy
  readonly #bytesReadBefore: number
  /** Input that the stream held when the close began. */
  readonly #readableBefore: number
  /** Input that arrives while the close waits is discarded here, and does not reach the program. */
  #resumed = false
  /** The descriptor is about to be closed, and an outcome will follow. */
  #begun = false
  #isClosed = false
  #outcome: Closed | undefined
  #error: Error | undefined
  #unwatch: (() => void)[] | undefined
  #deadline: NodeJS.Timeout | undefined
  #overdue: NodeJS.Timeout | undefined
  #resolve!: (report: CloseReport) => void
  #reject!: (error: Error) => void

  constructor(socket: net.Socket, options: PolicyOptions) {
    this.#socket = socket
    this.#requested = options.mode.name as CloseModeName
    this.#bytesReadBefore = socket.bytesRead
    this.#readableBefore = socket.readableLength
    const standing = policyOf(socket)
    this.standing = standing
    this.#policy = new ClosePolicy(socket, options, standing?.armed, standing?.lingering, this)
    this.report = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  start(): Promise<CloseReport> {
    const socket = this.#socket
    socket.on('error', this.#onError)
    socket.once('close', this.#onClose)
    attachPolicy(this.#policy)
    observeClose(socket, this.#onOutcome)
    const { deadlineMs } = this.#policy.options
    this.#deadline = setTimeout(() => {
      const cause = fallback('deadline', `the deadline of ${String(deadlineMs)} ms passed`)
      this.#giveUp(cause)
    }, deadlineMs)
    try {
      this.#begin()
    } catch (error) {
      clearTimeout(this.#deadline)
      this.#reject(error as Error)
    }
    return this.report
  }

  begun(): void {
    this.#begun = true
  }

  readonly #onError = (error: Error): void => {
    this.#error ??= error
  }

  readonly #onClose = (): void => {
    this.#isClosed = true
    clearTimeout(this.#deadline)
    this.#lost()
    this.#settle()
  }

  readonly #onOutcome = (outcome: Closed): void => {
    this.#outcome ??= outcome
    if (this.#isClosed) this.#settle()
    // The grace time has begun. An 'error' of the stream in this tick still belongs in the report.
    else if (this.#overdue !== undefined)
      queueMicrotask(() => {
        this.#settle()
      })
  }

  #settle(): void {
    if (this.#outcome === undefined || this.settled) return
    const socket = this.#socket
    this.settled = true
    clearTimeout(this.#deadline)
    clearTimeout(this.#overdue)
    stopObserving(socket, this.#onOutcome)
    socket.off('error', this.#onError)
    socket.off('close', this.#onClose)
    for (const stop of this.#unwatch ?? []) stop()
    this.#resolve(this.#reportOf(this.#outcome))
  }

  /** Cuts the close short when the signal is aborted. */
  watch(signal: AbortSignal | undefined): void {
    if (signal === undefined || this.settled) return
    const aborted = (): void => {
      this.#giveUp(fallback('aborted', 'the signal was aborted'))
    }
    if (signal.aborted) aborted()
    else {
      signal.addEventListener('abort', aborted, { once: true })
      const stop = (): void => {
        signal.removeEventListener('abort', aborted)
      }
      if (this.#unwatch === undefined) this.#unwatch = [stop]
      else this.#unwatch.push(stop)
    }
  }

  /** Turns a close that is waiting into a reset. */
  reset(options: PolicyOptions): void {
    if (this.settled) return
    if (this.#policy.options.mode !== options.mode) {
      this.#policy.cause ??= fallback('reset-requested', "a second call requested 'reset'")
    }
    this.#policy.options = options
    if (this.#socket.destroyed) this.#policy.abort?.()
    else this.#destroy()
  }

  #begin(): void {
    const socket = this.#socket
    const nothingWritten = bytesNotInKernel(socket) === 0
    const atOnce = this.#policy.options.mode.atOnce || (socket.pending && nothingWritten)
    if (carrierOf(socket).destroyed) {
      this.#policy.cause = fallback('destroyed', 'the connection below was already destroyed')
      this.#destroy()
      return
    }
    if (atOnce) {
      this.#destroy()
      return
    }
    // A peer that cannot write until we read might never read our data.
    if (socket.listenerCount('data') === 0 && socket.listenerCount('readable') === 0) {
      this.#resumed = true
      socket.resume()
    }
    socket.destroySoon()
  }

  #destroy(): void {
    const socket = this.#socket
    if (process.platform === 'win32' && this.#policy.options.mode.atOnce) socket.resetAndDestroy()
    else socket.destroy()
  }

  #giveUp(cause: Fallback): void {
    const socket = this.#socket
    const { options } = this.#policy
    const { mode, onTimeout } = options
    clearTimeout(this.#overdue)
    // A program or a TLS layer may keep the stream from ending. One timer after the other, so that a whole turn of the
    // event loop lies between them: if the loop was held up, the outcome may be about to come.
    this.#overdue = setTimeout(() => {
      this.#overdue = setTimeout(() => {
        this.#begun = false
        this.#lost()
      }, GRACE_MS / 2)
    }, GRACE_MS / 2)
    const timesOut = cause.code === 'deadline' && onTimeout !== undefined
    if (timesOut) this.#policy.options = { ...options, mode: onTimeout }
    if (socket.destroyed) {
      this.#policy.cause ??= cause
      if (timesOut && onTimeout.atOnce) this.#policy.abort?.()
      else this.#policy.cut?.(cause)
      return
    }
    const lost = bytesNotInKernel(socket)
    this.#policy.cause ??= cause
    if (lost > 0 && cause.code === 'deadline') {
      announce(
        'SOCKET_TUNER_CLOSE_DEADLINE',
        mode.name,
        `A close in mode '${mode.name}' was cut short: ${cause.message}, and ` +
          `${String(lost)} bytes that had not reached the kernel are discarded`,
      )
    }
    socket.destroy()
  }

  /** Someone else has closed the connection below, so no outcome of this close will follow. */
  #lost(): void {
    if (this.#begun) return
    this.#onOutcome(lostDescriptor(bytesNotInKernel(this.#socket), this.#policy.cause) as Closed)
  }

  #reportOf(outcome: Closed): CloseReport {
    const { mode, fallback, discardedBytes, inFlightBytes = 0, unreadBytes, timeWait } = outcome
    return {
      requested: this.#requested,
      mode,
      ...(fallback === undefined ? {} : { fallback }),
      discardedBytes,
      inFlightBytes,
      unreadBytes: unreadBytes + this.#unread(),
      timeWait,
      durationMs: performance.now() - this.since,
      ...(this.#error === undefined ? {} : { error: this.#error }),
    }
  }

  #unread(): number {
    const since = this.#resumed ? this.#socket.bytesRead - this.#bytesReadBefore : 0
    return this.#readableBefore + Math.max(0, since)
  }
}

/** After configure({ hazards: 'throw' }), throws the hazards of a close before anything is changed. */
function throwHazards(socket: net.Socket, options: PolicyOptions): void {
  const fd = transportFd(socket)
  if (fd >= 0) options.mode.warn?.(socket, fd, options)
}
