import { native } from '../kernel/binding'
import { ArgumentValueError } from '../errors'
import { sockDiagFailure } from '../kernel/sock-diag-failure'
import { bytecodeOf } from '../kernel/sock-diag-filter'
import { custom, spec, type InputOf } from '../spec'
import { socketFilter, type SocketFilter } from './filter'

export const delayedSegmentsAccepted = spec({
  /** Must be true: see the two risks of destroyTimeWait(). */
  iAcceptDelayedSegments: custom<true>('true', (argument, value) => {
    if (value !== true) throw new ArgumentValueError(argument, 'must be true', value)
    return value
  }).required(),
})

/** Confirms that the caller of {@link destroyTimeWait} accepts its risks. */
export type DelayedSegmentsAccepted = Readonly<InputOf<typeof delayedSegmentsAccepted>>

/**
 * Removes TIME_WAIT entries of this network namespace before they expire, IPv4 and IPv6 (SOCK_DESTROY,
 * sock_diag(7)). Returns their number. **Only for test rigs** that need their ports again between two runs. TIME_WAIT
 * protects from two risks, which the caller then accepts:
 *
 * 1. The next connection on the same addresses and ports may accept a delayed segment of the old one. Its bytes
 *    silently enter the new stream. TCP timestamps prevent this (PAWS, RFC 7323 section 5), but only if the new
 *    connection uses them.
 * 2. A peer whose FIN was not acknowledged stays in LAST_ACK. It delays the next connection on the same ports by
 *    some milliseconds (RFC 5961 section 4.2).
 *
 * The filter `{}` removes all entries. Live sockets are never removed, even if one takes the ports of an entry
 * during the call: the kernel compares cookies. Entries that expire during the call are not counted, and entries
 * that appear during the call may stay. A thread of the pool does the work in a few MiB of memory.
 *
 * Linux with CONFIG_INET_DIAG_DESTROY. Needs CAP_NET_ADMIN in the user namespace that owns the network namespace.
 *
 * @param filter unknown names, and fields that are undefined, are refused: the call would remove too much
 * @throws (as a rejection) ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE,
 *   ERR_SOCKET_TUNER_UNKNOWN_OPTION; ERR_SOCKET_TUNER_UNSUPPORTED if the kernel lacks the feature; EPERM without the
 *   capability
 */
export async function destroyTimeWait(
  filter: SocketFilter,
  accepted: DelayedSegmentsAccepted,
): Promise<number> {
  delayedSegmentsAccepted.check('accepted', accepted)
  const bytecode = bytecodeOf(checkComplete(filter))
  return new Promise((resolve, reject) => {
    const settle = (result: number): void => {
      if (result < 0) reject(failure(result))
      else resolve(result)
    }
    const begun = native.destroyTimeWait(bytecode, settle)
    if (begun < 0) settle(begun)
  })
}

/** Refuses a field that is undefined: the filter would match too much. */
function checkComplete(filter: unknown): SocketFilter {
  const checked = socketFilter.check('filter', filter)
  for (const [name, value] of Object.entries(filter as object)) {
    if (value !== undefined) continue
    const reason = 'must have a value; leave it out to match all'
    throw new ArgumentValueError(`filter.${name}`, reason, value)
  }
  return checked
}

function failure(errno: number): Error {
  return sockDiagFailure(errno, 'TIME_WAIT entries cannot be removed', {
    EPERM:
      'removing TIME_WAIT entries needs CAP_NET_ADMIN; run as root, or give node the capability',
  })
}
