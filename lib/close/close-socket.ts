import type * as net from 'node:net'
import { native } from '../binding'
import { ArgumentTypeError } from '../errors'
import { connectionState } from '../observe/tcp-info'
import { spec, type InputOf } from '../spec'
import { isSessionSocket, isStreamSocket, transportHandleOf } from '../target'
import { announce, hazard, hazardsThrow } from '../warnings'
import { fallback } from './fallback'
import {
  attachPolicy,
  carrierOf,
  lastClose,
  lostDescriptor,
  observeClose,
  policyOf,
  stopObserving,
} from './hooks'
import { closeMode, closeModeOptions, policyIn, type PolicyOptions } from './options'
import { bytesNotInKernel } from './pending'
import type { ClosePolicy } from './policy'
import type { CloseMode, CloseOutcome, CloseReport } from './report'

export const closeSocketOptions = spec({
  ...closeModeOptions.fields,
  /** Default: the socket's standing mode (`setCloseMode`, `connect({ closeMode })`, …), else `fin`. */
  mode: closeMode,
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
 * takes longer than `timeoutMs`: what is not in the kernel by then is thrown away and counted. May
 * be called on a socket that is connecting, ended, or closed already, and twice: the second call
 * gets the report of the first, or makes a reset of it.
 *
 * On Windows `reset` is Node's resetAndDestroy() and the other modes are `fin`.
 *
 * @throws (as a rejection) ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE,
 *   ERR_SOCKET_TUNER_UNKNOWN_OPTION; ERR_SOCKET_TUNER_HAZARD after `configure({ hazards: 'throw' })`, with the socket left open
 */
export async function closeSocket(
  socket: net.Socket,
  options: CloseSocketOptions = {},
): Promise<CloseReport> {
  if (!isStreamSocket(socket)) {
    throw new ArgumentTypeError('socket', 'an instance of net.Socket or tls.TLSSocket', socket)
  }
  refuseSessionSocket(socket)
  const checked = optionsFor(socket, options)
  const running = closing.get(socket)
  // A socket that is not destroyed after its close was connected again.
  if (running !== undefined && (socket.destroyed || !running.settled)) {
    if (checked.mode === 'reset') running.reset(checked)
    return running.report
  }
  if (socket.destroyed) return alreadyClosed(socket, checked.mode)
  if (hazardsThrow()) refuseHazards(socket, checked)
  const started = new Closing(socket, checked)
  closing.set(socket, started)
  return started.report
}

/** Without a mode the standing one counts, with its own options where none is given. */
function optionsFor(socket: net.Socket, options: CloseSocketOptions): PolicyOptions {
  const { mode, ...checked } = closeSocketOptions.check('options', options)
  const standing = mode === undefined ? policyOf(socket) : undefined
  if (standing === undefined) return { mode: mode ?? 'fin', ...checked }
  const given = closeModeOptions.given(options, checked)
  return policyIn(standing.mode, { ...standing, ...given })
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
function alreadyClosed(socket: net.Socket, requested: CloseMode): CloseReport {
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
  readonly #requested: CloseMode
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
  #overdue: NodeJS.Timeout | undefined
  #settle: ((outcome: CloseOutcome) => void) | undefined

  constructor(socket: net.Socket, options: PolicyOptions) {
    this.#socket = socket
    this.#requested = options.mode
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

  /** Makes a reset of a close that is waiting. */
  reset(options: PolicyOptions): void {
    if (this.settled) return
    if (this.#policy.mode !== options.mode) {
      this.#policy.cause ??= fallback('reset-requested', "a second call asked for 'reset'")
    }
    Object.assign(this.#policy, options)
    if (this.#socket.destroyed) this.#policy.abort?.()
    else if (carrierOf(this.#socket).destroyed) this.#destroyLater()
    else this.#destroy()
  }

  async #run(): Promise<CloseReport> {
    const socket = this.#socket
    const onError = (error: Error): void => {
      this.#error ??= error
    }
    socket.on('error', onError)
    const outcome = new Promise<CloseOutcome>((resolve) => {
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
    const observer = (result: CloseOutcome): void => {
      this.#settle?.(result)
    }
    attachPolicy(this.#policy)
    observeClose(socket, observer)
    const deadline = setTimeout(() => {
      this.#giveUp()
    }, this.#policy.timeoutMs)
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
    socket.off('error', onError)
    return report
  }

  #begin(): void {
    const socket = this.#socket
    const nothingWritten = bytesNotInKernel(socket) === 0
    const atOnce = this.#policy.mode === 'reset' || (socket.pending && nothingWritten)
    if (carrierOf(socket).destroyed) {
      this.#policy.cause = fallback('destroyed', 'the connection below was destroyed before')
      this.#destroyLater()
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

  /**
   * For a TLS socket whose connection below is gone. In 'secureConnect' Node is still inside OpenSSL, and
   * destroy() would free the SSL that is in use there.
   */
  #destroyLater(): void {
    setImmediate(() => {
      this.#destroy()
    })
  }

  #destroy(): void {
    const socket = this.#socket
    if (process.platform === 'win32' && this.#policy.mode === 'reset') socket.resetAndDestroy()
    else socket.destroy()
  }

  #giveUp(): void {
    const socket = this.#socket
    const { mode, timeoutMs } = this.#policy
    // The stream is not Node's alone: a program or a TLS layer may keep it from ending.
    this.#overdue = setTimeout(() => {
      this.#begun = false
      this.#lost()
    }, GRACE_MS)
    if (socket.destroyed) return
    const lost = bytesNotInKernel(socket)
    this.#policy.cause ??= fallback('deadline', `the deadline of ${String(timeoutMs)} ms passed`)
    if (lost > 0) {
      announce(
        'SOCKET_TUNER_CLOSE_DEADLINE',
        mode,
        `A close in mode '${mode}' gave up after ${String(timeoutMs)} ms: ` +
          `${String(lost)} bytes that were not in the kernel are thrown away`,
      )
    }
    socket.destroy()
  }

  /** The connection below was closed before, by somebody else: no outcome of this close will come. */
  #lost(): void {
    if (this.#begun) return
    this.#settle?.(lostDescriptor(bytesNotInKernel(this.#socket), this.#policy.cause))
  }

  #reportOf(outcome: CloseOutcome): CloseReport {
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
function refuseHazards(socket: net.Socket, { mode, requireTimestamps }: PolicyOptions): void {
  const fd = transportHandleOf(socket)?.fd ?? -1
  if (fd < 0) return
  const { state, timestamps } = connectionState(fd)
  const unprotected = state === 'ESTABLISHED' && !timestamps
  if (mode === 'deliver' && requireTimestamps && unprotected) {
    hazard(
      'SOCKET_TUNER_DELIVER_FALLBACK',
      'timestamps',
      "'deliver' would fall back to 'fin': no TCP timestamps",
    )
  }
  if (mode !== 'reset') return
  if (unprotected) {
    hazard(
      'SOCKET_TUNER_RESET_WITHOUT_TIMESTAMPS',
      'reset',
      'A reset without TCP timestamps skips TIME_WAIT',
    )
  }
  const bytes = bytesNotInKernel(socket) + Math.max(0, native.unacknowledgedBytes(fd))
  if (bytes > 0)
    hazard(
      'SOCKET_TUNER_RESET_DISCARDS',
      'reset',
      `A reset would throw away ${String(bytes)} bytes`,
    )
}
