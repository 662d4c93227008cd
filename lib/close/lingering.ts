import { native } from '../binding'
import { connectionState } from '../observe/tcp-info'
import { announce } from '../warnings'
import { closeWithFin } from './fin'
import { disarm } from './linger2'
import { ofThisThread } from './lingering-group'
import { bytesNotInKernel } from './pending'
import type { ClosePolicy, Done } from './policy'
import type { CloseOutcome } from './report'
import { afterTakeOver, takeOver, type TakenOver } from './take-over'

/**
 * Sends the FIN, then reads and throws away what the peer still sends until it has finished or a
 * deadline passes. While input is read no RST goes out, so the peer gets everything that was written
 * (nginx's lingering_close).
 */
export function closeLingering(policy: ClosePolicy, fd: number, done: Done): void {
  const { state } = connectionState(fd)
  if (state !== 'ESTABLISHED' && state !== 'FIN_WAIT1' && state !== 'FIN_WAIT2') {
    closeWithFin(policy, fd, (outcome) => {
      done({ ...outcome, mode: 'lingering' })
    })
    return
  }
  disarm(policy, fd)
  const discardedBytes = bytesNotInKernel(policy.socket)
  const { idleTimeoutMs, maxDiscardBytes: maxBytes, maxLingering: limit } = policy
  const group = { of: policy.lingering ?? ofThisThread, limit }
  const copy = takeOver(fd, policy, { idleTimeoutMs, maxBytes, group }, (rest) => {
    const { unreadBytes, cut } = rest
    warn(cut)
    const outcome: CloseOutcome = {
      mode: 'lingering',
      ...(cut === undefined ? {} : { fallback: cut.text }),
      discardedBytes,
      unreadBytes,
      timeWait: cut === undefined ? 'here' : 'unknown',
    }
    done(afterTakeOver(outcome, rest))
  })
  if (copy >= 0) {
    native.shutdownWrite(copy)
    return
  }
  closeWithFin(policy, fd, (outcome) => {
    done({ ...outcome, fallback: `no descriptor to linger with (errno ${String(-copy)})` })
  })
}

function warn(cut: TakenOver['cut']): void {
  if (cut === undefined || cut.reason === 'idle' || cut.reason === 'error') return
  announce(
    cut.reason === 'deadline' ? 'SOCKET_TUNER_LINGERING_DEADLINE' : 'SOCKET_TUNER_LINGERING_LIMIT',
    cut.reason === 'deadline' ? 'lingering' : cut.reason,
    `Ended a lingering close: ${cut.text}; a peer that is still sending is reset`,
  )
}
