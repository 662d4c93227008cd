/** Keeps a connection open for reading after its net.Socket was closed. */
import * as net from 'node:net'
import { constants as os } from 'node:os'
import { native } from '../binding'
import type { LingeringGroup } from './lingering-group'
import { pollUntil } from './poll'
import type { ClosePolicy } from './policy'
import type { CloseOutcome } from './report'
import { armReset, type ResetCost } from './reset'

export type CutReason = 'deadline' | 'idle' | 'bytes' | 'evicted' | 'error'

/** How a connection that was taken over came to its end. */
export interface TakenOver {
  /** Bytes of input that were thrown away. */
  unreadBytes: number
  /** The peer sent its FIN. */
  peerFinished: boolean
  /** Why it was ended before its time: a deadline, or an error. */
  cut?: { readonly reason: CutReason; readonly text: string }
  /** It was reset in the end, at this cost. */
  reset?: ResetCost
}

interface Until {
  /**
   * Ended when this is true, of the bytes thrown away so far too; asked for with growing pauses. Else the
   * peer ends it.
   */
  readonly condition?: (fd: number, bytes: number) => boolean
  /** Also ended when the peer sends nothing for so long. */
  readonly idleTimeoutMs?: number
  /** Also ended when it has sent more than so much. */
  readonly maxBytes?: number
  /** Also ended when too many others came after it. */
  readonly group?: { readonly of: LingeringGroup; readonly limit: number }
}

/** What is thrown away need not be kept apart: all connections read into the same memory. */
let sink: Buffer | undefined

/**
 * Takes a connection over from the net.Socket that is about to close `fd`: reads what comes in and
 * throws it away, since input that nobody reads makes close() send a RST, until the peer has
 * finished, `until` says so or the policy's deadline passes. Then the connection is closed and
 * `done` is called.
 *
 * Returns the negated errno when there is no descriptor to do it with; `done` is not called then.
 */
export function takeOver(
  fd: number,
  policy: ClosePolicy,
  until: Until,
  done: (result: TakenOver) => void,
): number {
  const copy = native.duplicateFd(fd)
  if (copy < 0) return copy
  const result: TakenOver = { unreadBytes: 0, peerFinished: false }
  const { condition, idleTimeoutMs, maxBytes = Infinity, group } = until
  const rest = discarding(copy, (count) => {
    result.unreadBytes += count
    if (result.unreadBytes > maxBytes)
      cut('bytes', `the peer sent more than ${String(maxBytes)} bytes`)
  })
  if (rest === undefined) return -os.errno.EINVAL
  const cut = (reason: CutReason, text: string): void => {
    result.cut ??= { reason, text }
    rest.destroy()
  }
  const deadline = setTimeout(() => {
    cut('deadline', `the connection was still busy after ${String(policy.timeoutMs)} ms`)
  }, remaining(policy))
  const evict = (): void => {
    cut('evicted', `more than ${String(group?.limit)} connections were lingering`)
  }
  group?.of.add(evict, group.limit)
  if (idleTimeoutMs !== undefined) {
    rest.setTimeout(idleTimeoutMs, () => {
      cut('idle', `the peer sent nothing for ${String(idleTimeoutMs)} ms and did not finish`)
    })
  }
  policy.abort = () => {
    if (rest.destroyed) return
    result.reset = armReset(copy, 0)
    rest.destroy()
  }
  const stopAsking =
    condition === undefined
      ? undefined
      : pollUntil(
          () => rest.destroyed || condition(copy, result.unreadBytes),
          () => {
            if (rest.destroyed) return
            // What came together with the acknowledgement may not have been read: close() would send a RST.
            result.unreadBytes += Math.max(0, native.discardInput(copy))
            rest.destroy()
          },
        )
  rest.on('end', () => {
    result.peerFinished = true
  })
  rest.on('error', (error) => {
    cut('error', `the peer ended with ${(error as { code?: string }).code ?? error.message}`)
  })
  rest.on('close', () => {
    policy.abort = undefined
    group?.of.remove(evict)
    clearTimeout(deadline)
    stopAsking?.()
    done(result)
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
    mode: 'reset',
    discardedBytes: outcome.discardedBytes + reset.discardedBytes,
    unreadBytes: outcome.unreadBytes + reset.unreadBytes,
  }
}

/** What is left of the deadline of a close that a program waits for, ms. */
function remaining({ timeoutMs, awaited }: ClosePolicy): number {
  if (awaited === undefined) return timeoutMs
  return Math.max(1, timeoutMs - (performance.now() - awaited.since))
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
