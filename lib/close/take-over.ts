/** Keeps a connection open for reading after its net.Socket was closed. */
import * as net from 'node:net'
import { constants as os } from 'node:os'
import { native } from '../kernel/binding'
import { connectionState, type ConnectionState } from '../observe/tcp-info'
import { fallback, type Fallback } from './fallback'
import type { LingeringGroup } from './lingering-group'
import { isAcknowledged, transferred, type Transferred } from './pending'
import { pollUntil } from './poll'
import type { ClosingPolicy, CloseOutcome, Ending } from './mode'
import { armReset, type ResetCost } from './reset-cost'
import { finishedAtEnd, type ConnectionEnd } from './time-wait'
import { closeNotifySize, withoutCloseNotify } from './tls'

/** How a connection that was taken over ended. */
export interface TakenOver {
  /** Bytes of input that were discarded, including those before the connection was taken over. */
  readonly unreadBytes: number
  /** The connection right before its descriptor was closed. */
  readonly end: ConnectionEnd
  /** Why it was cut short: a deadline, a limit or an error. */
  readonly cut: Fallback | undefined
  /** The cost of the reset that ended it, if one did. */
  readonly reset: ResetCost | undefined
}

export interface Until {
  /**
   * Polled with back-off; true ends the connection. Gets the descriptor and the number of bytes discarded so far.
   * Without it the peer ends the connection.
   */
  readonly condition?: (fd: number, bytes: number) => boolean
  /** The connection also ends when the peer sends nothing for this time, ms. */
  readonly idleMs?: number
  /** It also ends when the peer has sent more than this, bytes. */
  readonly maxBytes?: number
  /** It also ends when too many others have come after it. */
  readonly group?: { readonly of: LingeringGroup; readonly limit: number }
  /** Bytes of input that were discarded before. */
  readonly discarded: number
}

/**
 * Waits until the peer's kernel has everything. If the peer sent anything after close(2), this kernel would answer with
 * a RST and drop its send queue. Undefined if nothing is queued, and for a close that no program waits for, or that was
 * cut short: those hold no descriptor.
 */
export function untilAcknowledged(
  { awaited, cause }: ClosingPolicy,
  fd: number,
  { acknowledged }: ConnectionState,
  discarded: number,
): Until | undefined {
  if (awaited === undefined || cause !== undefined) return undefined
  if (acknowledged ?? isAcknowledged(fd)) return undefined
  return { condition: isAcknowledged, discarded }
}

/**
 * Takes a connection over from the net.Socket that is about to close its descriptor. Reads and discards input, since
 * unread input makes close() send a RST, until the peer has finished, `until` is met or the policy's deadline passes.
 * Then closes the connection and calls `done`.
 *
 * Returns the copy of the descriptor, or the negated errno if there is none; then `done` is not called.
 */
export function takeOver(ending: Ending, until: Until, done: (result: TakenOver) => void): number {
  const copy = native.duplicateFd(ending.fd)
  if (copy < 0) return copy
  return new Remainder(ending, until, copy, done).begin() ? copy : -os.errno.EINVAL
}

/** A connection from the moment at which it is taken over to the close of its descriptor. */
class Remainder {
  readonly #ending: Ending
  readonly #until: Until
  readonly #fd: number
  readonly #done: (result: TakenOver) => void
  /** The bytes that the net.Socket had transferred. */
  readonly #before: Transferred
  /** The size of the peer's close_notify. The cipher is unknown once the socket is closed. */
  readonly #alert: number
  #stream: net.Socket | undefined
  /** Bytes of input that were discarded here. */
  #discarded = 0
  #end: ConnectionEnd | undefined
  #cause: Fallback | undefined
  #reset: ResetCost | undefined

  constructor(ending: Ending, until: Until, fd: number, done: (result: TakenOver) => void) {
    this.#ending = ending
    this.#until = until
    this.#fd = fd
    this.#done = done
    const { socket } = ending.policy
    this.#before = transferred(socket, until.discarded)
    this.#alert = closeNotifySize(socket)
  }

  /** Returns false, with the descriptor closed, if Node refuses it. */
  begin(): boolean {
    const stream = discarding(this.#fd, this.#count)
    if (stream === undefined) return false
    this.#stream = stream
    const { policy } = this.#ending
    const { group, idleMs } = this.#until
    const deadline = setTimeout(this.#expire, remaining(policy))
    group?.of.add(this.#evict, group.limit)
    if (idleMs !== undefined) {
      stream.setTimeout(idleMs, () => {
        this.#cut(
          fallback('idle', `the peer sent nothing for ${String(idleMs)} ms and did not finish`),
        )
      })
    }
    policy.cut = this.#cut
    policy.abort = this.#abort
    const stopPolling = this.#pollCondition(stream)
    stream.on('end', this.#readState)
    stream.on('error', (error) => {
      // The stream is destroyed by now, and its descriptor closed.
      this.#cause ??= fallback(
        'peer-error',
        `the peer ended with ${(error as { code?: string }).code ?? error.message}`,
      )
    })
    stream.on('close', () => {
      policy.abort = undefined
      policy.cut = undefined
      group?.of.remove(this.#evict)
      clearTimeout(deadline)
      stopPolling?.()
      this.#report()
    })
    stream.resume()
    return true
  }

  #pollCondition(stream: net.Socket): (() => void) | undefined {
    const { condition } = this.#until
    if (condition === undefined) return undefined
    return pollUntil(
      () => stream.destroyed || condition(this.#fd, this.#discarded),
      () => {
        if (stream.destroyed) return
        // Input that arrived with the acknowledgement may be unread, and close() would send a RST.
        this.#discarded += Math.max(0, native.discardInput(this.#fd))
        this.#close()
      },
    )
  }

  readonly #count = (bytes: number): void => {
    const { maxBytes = Infinity } = this.#until
    this.#discarded += bytes
    if (this.#discarded > maxBytes)
      this.#cut(fallback('too-much-input', `the peer sent more than ${String(maxBytes)} bytes`))
  }

  readonly #expire = (): void => {
    const { policy } = this.#ending
    const { deadlineMs, onTimeout } = policy.options
    policy.cause ??= fallback('deadline', `it was not complete after ${String(deadlineMs)} ms`)
    this.#cause ??= policy.cause
    if (onTimeout?.atOnce === true) this.#abort()
    else this.#cut(this.#cause)
  }

  readonly #evict = (): void => {
    const { group } = this.#until
    this.#cut(fallback('evicted', `more than ${String(group?.limit)} connections were lingering`))
  }

  readonly #cut = (why: Fallback): void => {
    if (this.#stream?.destroyed !== false) return
    this.#cause ??= why
    this.#close()
  }

  readonly #abort = (): void => {
    if (this.#stream?.destroyed !== false) return
    this.#readState()
    this.#reset = armReset(this.#fd, 0, this.#ending, this.#transferred())
    this.#stream.destroy()
  }

  #close(): void {
    this.#readState()
    this.#stream?.destroy()
  }

  /** Reads the connection's state for the last time before the descriptor is closed. */
  readonly #readState = (): void => {
    const { finOrder, streamEnded } = this.#ending
    const connection = connectionState(this.#fd)
    const finished = finishedAtEnd(this.#fd, connection, this.#transferred(), finOrder)
    this.#end ??= { ...connection, ...finished, streamEnded }
  }

  #transferred(): Transferred {
    const before = this.#before
    return before.read === undefined ? before : { ...before, read: before.read + this.#discarded }
  }

  #report(): void {
    const end = this.#end ?? lost(this.#ending)
    const discarded = this.#until.discarded + this.#discarded
    const unreadBytes = withoutCloseNotify(discarded, this.#alert, end.peerFinished)
    this.#done({ unreadBytes, end, cut: this.#cause, reset: this.#reset })
  }
}

/** A connection that was reset before its state was read for the last time. */
function lost({ finOrder, streamEnded }: Ending): ConnectionEnd {
  return { state: 'CLOSE', notTcp: false, peerFinished: false, finOrder, streamEnded }
}

/** Adds the cost of a reset that ended a connection after it was taken over. */
export function afterTakeOver(outcome: CloseOutcome, { reset }: TakenOver): CloseOutcome {
  if (reset === undefined) return outcome
  return {
    ...outcome,
    ...reset,
    discardedBytes: outcome.discardedBytes + reset.discardedBytes,
    unreadBytes: outcome.unreadBytes + reset.unreadBytes,
  }
}

/** The rest of the deadline, ms. Hardly anything for a close that was cut short. */
function remaining({ options: { deadlineMs }, awaited, cause }: ClosingPolicy): number {
  if (cause !== undefined) return 1
  if (awaited === undefined) return deadlineMs
  return Math.max(1, deadlineMs - (performance.now() - awaited.since))
}

/** All connections share one buffer, since their input is discarded. */
let sink: Buffer | undefined

/** Returns a socket that owns `fd` and reads into the sink; undefined, with `fd` closed, if Node refuses it. */
function discarding(fd: number, count: (bytes: number) => void): net.Socket | undefined {
  sink ??= Buffer.allocUnsafeSlow(65536)
  const options: net.SocketConstructorOpts & Pick<net.ConnectOpts, 'onread'> = {
    fd,
    readable: true,
    writable: false,
    onread: {
      buffer: sink,
      callback: (bytes) => {
        count(bytes)
        return true
      },
    },
  }
  try {
    return new net.Socket(options)
  } catch {
    native.closeFd(fd)
    return undefined
  }
}
