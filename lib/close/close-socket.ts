import type * as net from 'node:net'
import { native } from '../binding'
import { ArgumentTypeError, checkObject } from '../errors'
import { connectionState, type TcpState } from '../observe/tcp-info'
import { isSessionSocket, isStreamSocket, transportHandleOf } from '../target'
import { announce, hazard, hazardsThrow } from '../warnings'
import { policyOptions, type CloseModeOptions } from './options'
import { bytesNotInKernel } from './pending'
import { attachPolicy, policyOf, type ClosePolicy, type PolicyOptions } from './policy'
import type { CloseMode, CloseOutcome, CloseReport } from './report'

export interface CloseSocketOptions extends CloseModeOptions {
  /** Default `fin`. */
  mode?: CloseMode | undefined
}

/** Closes that are under way, so that a second call joins the first or makes a reset of it. */
const closing = new WeakMap<net.Socket, Closing>()

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
 * @throws (as a rejection) ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE;
 *   ERR_SOCKET_TUNER_HAZARD after `configure({ hazards: 'throw' })`, with the socket left open
 */
export async function closeSocket(
  socket: net.Socket,
  options: CloseSocketOptions = {},
): Promise<CloseReport> {
  if (!isStreamSocket(socket)) {
    throw new ArgumentTypeError('socket', 'an instance of net.Socket or tls.TLSSocket', socket)
  }
  refuseSessionSocket(socket)
  checkObject('options', options)
  const checked = policyOptions(options.mode ?? 'fin', options, 'options.mode')
  const running = closing.get(socket)
  // A socket that is not destroyed after its close was connected again.
  if (running !== undefined && (socket.destroyed || !running.settled)) {
    if (checked.mode === 'reset') running.reset(checked)
    return running.report
  }
  if (socket.destroyed) return alreadyClosed(checked.mode)
  if (hazardsThrow()) refuseHazards(socket, checked)
  const started = new Closing(socket, checked)
  closing.set(socket, started)
  return started.report
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

function alreadyClosed(requested: CloseMode): CloseReport {
  return {
    requested,
    mode: requested,
    fallback: 'the socket was destroyed before',
    discardedBytes: 0,
    inFlightBytes: 0,
    unreadBytes: 0,
    timeWait: 'unknown',
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
  readonly #before: TcpState | undefined
  readonly #policy: ClosePolicy
  readonly #bytesReadBefore: number
  /** Input that the stream held when the close began. */
  readonly #readableBefore: number
  /** Whether the program had sent its FIN, or asked for it, before. */
  readonly #endedBefore: boolean
  /** Input that comes while the close waits is thrown away here, not given to the program. */
  #resumed = false
  #fallback: string | undefined
  #error: Error | undefined

  constructor(socket: net.Socket, options: PolicyOptions) {
    this.#socket = socket
    this.#requested = options.mode
    const fd = transportHandleOf(socket)?.fd ?? -1
    this.#before = fd < 0 ? undefined : connectionState(fd).state
    this.#bytesReadBefore = socket.bytesRead
    this.#readableBefore = socket.readableLength
    this.#endedBefore = socket.writableEnded
    const standing = policyOf(socket)
    this.#policy = {
      ...options,
      socket,
      armed: standing?.armed ?? false,
      lingering: standing?.lingering,
      awaited: { standing, since: this.#started },
    }
    this.report = this.#run(standing)
  }

  /** Makes a reset of a close that is waiting. */
  reset(options: PolicyOptions): void {
    if (this.settled) return
    this.#fallback ??= "a second call asked for 'reset'"
    Object.assign(this.#policy, options)
    if (this.#socket.destroyed) this.#policy.abort?.()
    else this.#destroy()
  }

  async #run(standing: ClosePolicy | undefined): Promise<CloseReport> {
    const socket = this.#socket
    const onError = (error: Error): void => {
      this.#error ??= error
    }
    socket.on('error', onError)
    const outcome = new Promise<CloseOutcome>((resolve) => {
      this.#policy.closed = (result) => {
        standing?.closed?.(result)
        resolve(result)
      }
    })
    const closed = new Promise<void>((resolve) => {
      socket.once('close', () => {
        resolve()
      })
    })
    attachPolicy(this.#policy)
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
    this.settled = true
    socket.off('error', onError)
    return report
  }

  #begin(): void {
    const socket = this.#socket
    const nothingWritten = bytesNotInKernel(socket) === 0
    if (this.#policy.mode === 'reset' || (socket.pending && nothingWritten)) {
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
    if (process.platform === 'win32' && this.#policy.mode === 'reset') socket.resetAndDestroy()
    else socket.destroy()
  }

  #giveUp(): void {
    const socket = this.#socket
    if (socket.destroyed) return
    const lost = bytesNotInKernel(socket)
    const { mode, timeoutMs } = this.#policy
    this.#fallback ??= `the deadline of ${String(timeoutMs)} ms passed`
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

  #reportOf(outcome: CloseOutcome): CloseReport {
    const reasons = [this.#fallback, outcome.fallback].filter((reason) => reason !== undefined)
    return {
      requested: this.#requested,
      mode: outcome.mode,
      ...(reasons.length === 0 ? {} : { fallback: reasons.join('; ') }),
      discardedBytes: outcome.discardedBytes,
      inFlightBytes: outcome.inFlightBytes ?? 0,
      unreadBytes: outcome.unreadBytes + this.#unread(),
      timeWait: outcome.timeWait === 'unknown' ? this.#timeWaitFromBefore() : outcome.timeWait,
      durationMs: performance.now() - this.#started,
      ...(this.#error === undefined ? {} : { error: this.#error }),
    }
  }

  #unread(): number {
    const since = this.#resumed ? this.#socket.bytesRead - this.#bytesReadBefore : 0
    return this.#readableBefore + Math.max(0, since)
  }

  /** The connection had ended when the descriptor was closed: who had begun tells who keeps TIME_WAIT. */
  #timeWaitFromBefore(): CloseReport['timeWait'] {
    const { mode } = this.#policy
    const noFin = !this.#endedBefore && (mode === 'deliver' || mode === 'reset')
    switch (this.#before) {
      case 'CLOSE_WAIT':
      case 'LAST_ACK':
        return 'peer'
      case 'ESTABLISHED':
      case 'FIN_WAIT1':
      case 'FIN_WAIT2':
      case 'CLOSING':
        // A connection that is gone without a FIN of ours was reset by the peer.
        if (noFin) return 'avoided'
        return this.#error === undefined ? 'here' : 'unknown'
      default:
        return 'unknown'
    }
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
