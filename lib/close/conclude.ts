/** Counts a close under a mode, and warns of what it did. */
import { announce } from '../warnings'
import type { CloseOutcome, ClosingPolicy } from './mode'
import { closeModes, type Closed } from './modes'
import { countClose } from './tally'

/** Returns the outcome of a close, with the reason why it was cut short. */
export function conclude(result: CloseOutcome, policy: ClosingPolicy): Closed {
  const outcome = withCause(result, policy) as Closed
  countClose(outcome)
  warn(outcome, policy)
  return outcome
}

function withCause(outcome: CloseOutcome, policy: ClosingPolicy): CloseOutcome {
  const { cause } = policy
  if (cause === undefined) return outcome
  policy.cause = undefined
  const { fallback: found } = outcome
  if (found === undefined || found.code === cause.code) return { ...outcome, fallback: cause }
  return {
    ...outcome,
    fallback: { code: cause.code, message: `${cause.message}; ${found.message}` },
  }
}

function warn(outcome: Closed, { awaited, options }: ClosingPolicy): void {
  const { discardedBytes, mode, timeWait, fallback, wasOver = false } = outcome
  const isMeant = closeModes[mode].atOnce
  if (awaited === undefined && !isMeant && !wasOver && discardedBytes > 0) {
    announce(
      'SOCKET_TUNER_DESTROY_DISCARDS',
      'destroy',
      `destroy() discarded ${String(discardedBytes)} bytes that had not reached the kernel`,
    )
  }
  if (fallback?.code === 'ended' && timeWait === 'here') {
    announce(
      'SOCKET_TUNER_END_LEAVES_TIME_WAIT',
      options.mode.name,
      `A connection under close mode '${options.mode.name}' was ended by end(): its FIN went out first, and TIME_WAIT is left for 60 s (onEnd: 'close' makes end() close in the mode)`,
    )
  }
}
