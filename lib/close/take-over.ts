/** Keeps a connection open for reading after its net.Socket was closed. */
import * as net from 'node:net'
import { constants as os } from 'node:os'
import { native } from '../kernel/binding'
import { connectionState } from '../observe/tcp-info'
import { fallback, type Fallback } from './fallback'
import type { LingeringGroup } from './lingering-group'
import { readBytes } from './pending'
import { pollUntil } from './poll'
import type { CloseOutcome, ClosePolicy, Ending } from './mode'
import { armReset, type ResetCost } from './reset-cost'
import { hasPeerFinished, type ConnectionEnd } from './time-wait'
import { closeNotifySize, withoutCloseNotify } from './tls'

/** How a connection that was taken over came to its end. */
export interface TakenOver {
  /** Bytes of input that were thrown away, those before it was taken over among them. */
  readonly unreadBytes: number
  /** The connection right before its descriptor was closed. */
  readonly end: Omit<ConnectionEnd, 'finOrder' | 'streamEnded'>
  /** Why it was ended before its time: a deadline, or an error. */
  readonly cut: Fallback | undefined
  /** It was reset in the end, at this cost. */
  readonly reset: ResetCost | undefined
}

interface Until {
  /**
   * Polled with back-off; true ends the connection. Gets the descriptor and the bytes thrown away so far.
   * Without it the peer ends the connection.
   */
  readonly condition?: (fd: number, bytes: number) => boolean
  /** The connection also ends when the peer sends nothing for this time, ms. */
  readonly idleMs?: number
  /** It also ends when the peer has sent more than this, bytes. */
  readonly maxBytes?: number
  /** It also ends when too many others came after it. */
  readonly group?: { readonly of: LingeringGroup; readonly limit: number }
  /** Bytes of input that were thrown away before. */
  readonly discarded: number
}

/** What is thrown away need not be kept apart: all connections read into the same memory. */
let sink: Buffer | undefined

/**
 * Takes a connection over from the net.Socket that is about to close its descriptor: reads what comes in
 * and throws it away, since input that nobody reads makes close() send a RST, until the peer has
 * finished, `until` says so or the policy's deadline passes. Then the connection is closed and
 * `done` is called.
 *
 * Returns the negated errno when there is no descriptor to do it with; `done` is not called then.
 */
export function takeOver(
  { policy, fd, finOrder }: Ending,
  until: Until,
  done: (result: TakenOver) => void,
): number {
  const copy = native.duplicateFd(fd)
  if (copy < 0) return copy
  const { condition, idleMs, maxBytes = Infinity, group, discarded } = until
  const { socket } = policy
  const readBefore = readBytes(socket, discarded)
  // Not to be had any more when the socket is closed.
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
  /** The last look before the descriptor is closed. */
  const look = (): void => {
    const connection = connectionState(copy)
    const read = readBefore === undefined ? undefined : readBefore + come
    end ??= { ...connection, peerFinished: hasPeerFinished(copy, connection, read) }
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
    cut(
      policy.cause ??
        fallback('deadline', `it was still busy after ${String(policy.deadlineMs)} ms`),
    )
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
  policy.cut = cut
  policy.abort = () => {
    if (rest.destroyed) return
    look()
    const read = readBefore === undefined ? undefined : readBefore + come
    reset = armReset(copy, 0, { finOrder, streamEnded: socket.readableEnded }, read)
    rest.destroy()
  }
  const stopPolling =
    condition === undefined
      ? undefined
      : pollUntil(
          () => rest.destroyed || condition(copy, come),
          () => {
            if (rest.destroyed) return
            // What came together with the acknowledgement may not have been read: close() would send a RST.
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
    const last = end ?? { state: 'CLOSE', notTcp: false, peerFinished: false }
    const unreadBytes = withoutCloseNotify(discarded + come, alert, last.peerFinished)
    done({ unreadBytes, end: last, cut: cause, reset })
  })
  rest.resume()
  return copy
}

/** What a close came to, given how the connection ended after it was taken over. */
export function afterTakeOver(outcome: CloseOutcome, { reset }: TakenOver): CloseOutcome {
  if (reset === undefined) return outcome
  return {
    ...outcome,
    ...reset,
    discardedBytes: outcome.discardedBytes + reset.discardedBytes,
    unreadBytes: outcome.unreadBytes + reset.unreadBytes,
  }
}

/** What is left of the deadline of a close that a program waits for, ms: nothing when that was cut short. */
function remaining({ deadlineMs, awaited, cause }: ClosePolicy): number {
  if (cause !== undefined) return 1
  if (awaited === undefined) return deadlineMs
  return Math.max(1, deadlineMs - (performance.now() - awaited.since))
}

/** A socket that owns `fd` and reads into the sink. */
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
