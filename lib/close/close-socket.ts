import type * as net from 'node:net'
import { ArgumentTypeError } from '../errors'
import { carrierOf, transportFd } from '../node/handle'
import { isSessionSocket } from '../node/session-socket'
import { abortSignal, spec, type InputOf } from '../spec'
import { isStreamSocket } from '../target'
import { announce, hazardsThrow } from '../warnings'
import { fallback, type Fallback } from './fallback'
import {
  attachPolicy,
  lastClose,
  lostDescriptor,
  observeClose,
  policyOf,
  stopObserving,
} from './hooks'
import {
  close as closeOption,
  optionsOf,
  plainClose,
  type Close,
  type PolicyOptions,
} from './options'
import { bytesNotInKernel } from './pending'
import type { ClosePolicy } from './mode'
import { closeModes, type Closed, type CloseModeName } from './modes'
import type { CloseReport } from './report'

export const closeSocketOptions = spec({
  /** Cuts the close short when it is aborted, as the deadline does. */
  signal: abortSignal,
})

export type CloseSocketOptions = InputOf<typeof closeSocketOptions>

/** Closes that are under way, so that a second call joins the first or makes a reset of it. */
const closing = new WeakMap<net.Socket, Closing>()

/** A socket whose stream never emits 'close' is given up this long after the deadline. */
const GRACE_MS = 1_000

/**
 * Closes a socket in the way that is asked for and says what became of its bytes and its port.
 *
 * Everything written before is sent first, but for `reset`. Never blocks the event loop, and never
 * takes longer than `deadlineMs`: what is not in the kernel by then is thrown away and counted. May
 * be called on a socket that is connecting, ended, or closed already, and twice: the second call
 * gets the report of the first, or makes a reset of it.
 *
 * On Windows `reset` is Node's resetAndDestroy() and the other modes are `fin`.
 *
 * @throws (as a rejection) ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE,
 *   ERR_SOCKET_TUNER_UNKNOWN_OPTION; ERR_SOCKET_TUNER_HAZARD after `configure({ hazards: 'throw' })`, with
 *   the socket left open
 */
export async function closeSocket(
  socket: net.Socket,
  close?: Close,
  options: CloseSocketOptions = {},
): Promise<CloseReport> {
  if (!isStreamSocket(socket)) {
    throw new ArgumentTypeError('socket', 'an instance of net.Socket or tls.TLSSocket', socket)
  }
  refuseSessionSocket(socket)
  const checked = closeFor(socket, close)
  const { signal } = closeSocketOptions.check('options', options)
  const running = closing.get(socket)
  // A socket that is not destroyed after its close was connected again.
  if (running !== undefined && (socket.destroyed || !running.settled)) {
    running.watch(signal)
    if (checked.mode.atOnce) running.reset(checked)
    return running.report
  }
  if (socket.destroyed) return alreadyClosed(socket, checked.mode.name as CloseModeName)
  if (hazardsThrow()) tellHazards(socket, checked)
  const started = new Closing(socket, checked)
  closing.set(socket, started)
  started.watch(signal)
  return started.report
}

/** Without a close the standing one counts. */
function closeFor(socket: net.Socket, close: Close | undefined): PolicyOptions {
  const checked = closeOption.check('close', close)
  if (checked !== undefined) return checked
  const standing = policyOf(socket)
  return standing === undefined ? plainClose(closeModes.fin) : optionsOf(standing)
}

/** `session.socket` of HTTP/2 is a proxy: what its session has still to send, only the session knows. */
function refuseSessionSocket(socket: net.Socket): void {
  if (isSessionSocket(socket)) {
    throw new ArgumentTypeError(
      'socket',
      'a socket that no HTTP/2 session owns (use session.close(), with setCloseMode(session, mode))',
      socket,
    )
  }
}

/** The close is somebody else's: it is reported as far as it was under a policy, and never counted again. */
function alreadyClosed(socket: net.Socket, requested: CloseModeName): CloseReport {
  const { mode = 'fin', timeWait = 'unknown' } = lastClose(socket) ?? {}
  return {
    requested,
    mode,
    fallback: fallback('destroyed', 'the socket was destroyed before'),
    discardedBytes: 0,
    inFlightBytes: 0,
    unreadBytes: 0,
    timeWait,
    durationMs: 0,
  }
}

/** One close, from the call to the report. */
class Closing {
  readonly report: Promise<CloseReport>
  settled = false
  readonly #socket: net.Socket
  readonly #requested: CloseModeName
  readonly #started = performance.now()
  readonly #policy: ClosePolicy
  readonly #bytesReadBefore: number
  /** Input that the stream held when the close began. */
  readonly #readableBefore: number
  /** Input that comes while the close waits is thrown away here, not given to the program. */
  #resumed = false
  /** The descriptor is about to be closed: its outcome will come. */
  #begun = false
  #error: Error | undefined
  readonly #unwatch: (() => void)[] = []
  #overdue: NodeJS.Timeout | undefined
  #settle: ((outcome: Closed) => void) | undefined

  constructor(socket: net.Socket, options: PolicyOptions) {
    this.#socket = socket
    this.#requested = options.mode.name as CloseModeName
    this.#bytesReadBefore = socket.bytesRead
    this.#readableBefore = socket.readableLength
    const standing = policyOf(socket)
    this.#policy = {
      ...options,
      socket,
      armed: standing?.armed ?? false,
      lingering: standing?.lingering,
      awaited: {
        standing,
        since: this.#started,
        begun: () => {
          this.#begun = true
        },
      },
    }
    this.report = this.#run()
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
      this.#unwatch.push(() => {
        signal.removeEventListener('abort', aborted)
      })
    }
  }

  /** Makes a reset of a close that is waiting. */
  reset(options: PolicyOptions): void {
    if (this.settled) return
    if (this.#policy.mode !== options.mode) {
      this.#policy.cause ??= fallback('reset-requested', "a second call asked for 'reset'")
    }
    Object.assign(this.#policy, options)
    if (this.#socket.destroyed) this.#policy.abort?.()
    else this.#destroy()
  }

  async #run(): Promise<CloseReport> {
    const socket = this.#socket
    const onError = (error: Error): void => {
      this.#error ??= error
    }
    socket.on('error', onError)
    const outcome = new Promise<Closed>((resolve) => {
      this.#settle = resolve
    })
    const closed = new Promise<void>((resolve) => {
      socket.once('close', () => {
        resolve()
        this.#lost()
      })
      void outcome.then(() => {
        if (this.#overdue !== undefined) resolve()
      })
    })
    const observer = (result: Closed): void => {
      this.#settle?.(result)
    }
    attachPolicy(this.#policy)
    observeClose(socket, observer)
    const { deadlineMs } = this.#policy
    const deadline = setTimeout(() => {
      const cause = fallback('deadline', `the deadline of ${String(deadlineMs)} ms passed`)
      this.#giveUp(cause)
    }, deadlineMs)
    try {
      this.#begin()
      await closed
    } finally {
      clearTimeout(deadline)
    }
    const report = this.#reportOf(await outcome)
    clearTimeout(this.#overdue)
    stopObserving(socket, observer)
    this.settled = true
    for (const stop of this.#unwatch) stop()
    socket.off('error', onError)
    return report
  }

  #begin(): void {
    const socket = this.#socket
    const nothingWritten = bytesNotInKernel(socket) === 0
    const atOnce = this.#policy.mode.atOnce || (socket.pending && nothingWritten)
    if (carrierOf(socket).destroyed) {
      this.#policy.cause = fallback('destroyed', 'the connection below was destroyed before')
      this.#destroy()
      return
    }
    if (atOnce) {
      this.#destroy()
      return
    }
    // A peer that waits for us to read would never read what we have written.
    if (socket.listenerCount('data') === 0 && socket.listenerCount('readable') === 0) {
      this.#resumed = true
      socket.resume()
    }
    socket.destroySoon()
  }

  #destroy(): void {
    const socket = this.#socket
    if (process.platform === 'win32' && this.#policy.mode.atOnce) socket.resetAndDestroy()
    else socket.destroy()
  }

  #giveUp(cause: Fallback): void {
    const socket = this.#socket
    const { mode } = this.#policy
    clearTimeout(this.#overdue)
    // The stream is not Node's alone: a program or a TLS layer may keep it from ending.
    this.#overdue = setTimeout(() => {
      this.#begun = false
      this.#lost()
    }, GRACE_MS)
    if (socket.destroyed) {
      this.#policy.cut?.(cause)
      return
    }
    const lost = bytesNotInKernel(socket)
    this.#policy.cause ??= cause
    if (lost > 0 && cause.code === 'deadline') {
      announce(
        'SOCKET_TUNER_CLOSE_DEADLINE',
        mode.name,
        `A close in mode '${mode.name}' gave up, since ${cause.message}: ` +
          `${String(lost)} bytes that were not in the kernel are thrown away`,
      )
    }
    socket.destroy()
  }

  /** The connection below was closed before, by somebody else: no outcome of this close will come. */
  #lost(): void {
    if (this.#begun) return
    this.#settle?.(lostDescriptor(bytesNotInKernel(this.#socket), this.#policy.cause) as Closed)
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
      durationMs: performance.now() - this.#started,
      ...(this.#error === undefined ? {} : { error: this.#error }),
    }
  }

  #unread(): number {
    const since = this.#resumed ? this.#socket.bytesRead - this.#bytesReadBefore : 0
    return this.#readableBefore + Math.max(0, since)
  }
}

/** With hazards thrown, what a close would only warn of is refused while everything can stay as it is. */
function tellHazards(socket: net.Socket, options: PolicyOptions): void {
  const fd = transportFd(socket)
  if (fd >= 0) options.mode.warn?.(socket, fd, options)
}
