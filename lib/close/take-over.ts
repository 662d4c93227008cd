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

/** All connections share one buffer, since their input is discarded. */
let sink: Buffer | undefined

/**
 * Takes a connection over from the net.Socket that is about to close its descriptor. Reads and discards input, since
 * unread input makes close() send a RST, until the peer has finished, `until` is met or the policy's deadline passes.
 * Then closes the connection and calls `done`.
 *
 * Returns the copy of the descriptor, or the negated errno if there is none; then `done` is not called.
 */
export function takeOver(
  { policy, fd, finOrder, streamEnded }: Ending,
  until: Until,
  done: (result: TakenOver) => void,
): number {
  const copy = native.duplicateFd(fd)
  if (copy < 0) return copy
  const { condition, idleMs, maxBytes = Infinity, group, discarded } = until
  const { socket } = policy
  const before = transferred(socket, discarded)
  // The cipher is unknown once the socket is closed.
  const alert = closeNotifySize(socket)
  let come = 0
  let end: TakenOver['end'] | undefined
  let cause: Fallback | undefined
  let reset: ResetCost | undefined
  const rest = discarding(copy, (count) => {
    come += count
    if (come > maxBytes)
      cut(fallback('too-much-input', `the peer sent more than ${String(maxBytes)} bytes`))
  })
  if (rest === undefined) return -os.errno.EINVAL
  const moved = (): Transferred =>
    before.read === undefined ? before : { ...before, read: before.read + come }
  /** Reads the connection's state for the last time before the descriptor is closed. */
  const look = (): void => {
    const connection = connectionState(copy)
    const finished = finishedAtEnd(copy, connection, moved(), finOrder)
    end ??= { ...connection, ...finished, streamEnded }
  }
  const close = (): void => {
    look()
    rest.destroy()
  }
  const cut = (why: Fallback): void => {
    if (rest.destroyed) return
    cause ??= why
    close()
  }
  const deadline = setTimeout(() => {
    policy.cause ??= fallback(
      'deadline',
      `it was not complete after ${String(policy.options.deadlineMs)} ms`,
    )
    cause ??= policy.cause
    if (policy.options.onTimeout?.atOnce === true) abort()
    else cut(cause)
  }, remaining(policy))
  const evict = (): void => {
    cut(fallback('evicted', `more than ${String(group?.limit)} connections were lingering`))
  }
  group?.of.add(evict, group.limit)
  if (idleMs !== undefined) {
    rest.setTimeout(idleMs, () => {
      cut(fallback('idle', `the peer sent nothing for ${String(idleMs)} ms and did not finish`))
    })
  }
  const abort = (): void => {
    if (rest.destroyed) return
    look()
    reset = armReset(copy, 0, { finOrder, streamEnded }, moved())
    rest.destroy()
  }
  policy.cut = cut
  policy.abort = abort
  const stopPolling =
    condition === undefined
      ? undefined
      : pollUntil(
          () => rest.destroyed || condition(copy, come),
          () => {
            if (rest.destroyed) return
            // Input that arrived with the acknowledgement may be unread, and close() would send a RST.
            come += Math.max(0, native.discardInput(copy))
            close()
          },
        )
  rest.on('end', look)
  rest.on('error', (error) => {
    // The stream is destroyed by now, and its descriptor closed.
    cause ??= fallback(
      'peer-error',
      `the peer ended with ${(error as { code?: string }).code ?? error.message}`,
    )
  })
  rest.on('close', () => {
    policy.abort = undefined
    policy.cut = undefined
    group?.of.remove(evict)
    clearTimeout(deadline)
    stopPolling?.()
    const last = end ?? lost({ finOrder, streamEnded })
    const unreadBytes = withoutCloseNotify(discarded + come, alert, last.peerFinished)
    done({ unreadBytes, end: last, cut: cause, reset })
  })
  rest.resume()
  return copy
}

/** A connection that was reset before its state was read for the last time. */
function lost(order: Pick<ConnectionEnd, 'finOrder' | 'streamEnded'>): ConnectionEnd {
  return { state: 'CLOSE', notTcp: false, peerFinished: false, ...order }
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
