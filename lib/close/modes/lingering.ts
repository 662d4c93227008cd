import { native } from '../../kernel/binding'
import { connectionState } from '../../observe/tcp-info'
import { announce } from '../../warnings'
import { fallback } from '../fallback'
import { closeWithFin } from './fin'
import { disarm } from '../linger2'
import { ofThisThread } from '../lingering-group'
import { bytesNotInKernel } from '../pending'
import type { CloseMode, CloseOutcome, Done, Ending } from '../mode'
import { afterTakeOver, takeOver, type TakenOver } from '../take-over'
import { finOrderIn, timeWaitOf } from '../time-wait'

/** Sends a FIN, then discards input until the peer has finished. */
export const lingering: CloseMode = {
  name: 'lingering',
  summary: 'data, then FIN; input is discarded until the peer has finished',
  atOnce: false,
  withoutShutdown: false,
  holdsLastWrite: false,
  inherited: false,
  keepsTimeWait: true,
  holdsDescriptor: true,
  // Options are not enough: someone has to read.
  onDescriptor: undefined,
  close: closeLingering,
}

/**
 * Sends the FIN, then reads and discards what the peer still sends until it has finished or a deadline passes. No RST is
 * sent while input is read, so the peer gets everything that was written (nginx's lingering_close).
 */
function closeLingering(ending: Ending, done: Done): void {
  const { policy, fd } = ending
  const { state } = connectionState(fd)
  if (state !== 'ESTABLISHED' && state !== 'FIN_WAIT1' && state !== 'FIN_WAIT2') {
    closeWithFin(ending, (outcome) => {
      done({ ...outcome, mode: 'lingering' })
    })
    return
  }
  disarm(policy, fd)
  const discardedBytes = bytesNotInKernel(policy.socket)
  const finOrder = ending.finOrder ?? finOrderIn(state)
  const { idleMs, maxDiscardBytes: maxBytes, maxLingering: limit } = policy.options
  const group = { of: policy.lingering ?? ofThisThread, limit }
  const lingering = { ...ending, finOrder, streamEnded: false }
  const copy = takeOver(lingering, { idleMs, maxBytes, group, discarded: 0 }, (rest) => {
    const { unreadBytes, cut, end } = rest
    warn(cut)
    const outcome: CloseOutcome = {
      mode: 'lingering',
      ...(cut === undefined ? {} : { fallback: cut }),
      discardedBytes,
      unreadBytes,
      // A peer that is still sending is reset by its next segment.
      timeWait: isStillSending(cut) ? 'unknown' : timeWaitOf(end, 'fin'),
    }
    done(afterTakeOver(outcome, rest))
  })
  if (copy >= 0) {
    native.shutdownWrite(copy)
    return
  }
  closeWithFin(ending, (outcome) => {
    const why = `there is no descriptor for lingering (errno ${String(-copy)})`
    done({ ...outcome, fallback: fallback('refused', why) })
  })
}

function isStillSending(cut: TakenOver['cut']): boolean {
  return cut?.code === 'deadline' || cut?.code === 'too-much-input' || cut?.code === 'evicted'
}

function warn(cut: TakenOver['cut']): void {
  if (cut === undefined || !isStillSending(cut)) return
  announce(
    cut.code === 'deadline' ? 'SOCKET_TUNER_LINGERING_DEADLINE' : 'SOCKET_TUNER_LINGERING_LIMIT',
    cut.code,
    `Ended a lingering close: ${cut.message}; a peer that is still sending is reset`,
  )
}
