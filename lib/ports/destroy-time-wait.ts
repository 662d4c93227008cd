import { native } from '../kernel/binding'
import { ArgumentValueError } from '../errors'
import { sockDiagFailure } from '../kernel/sock-diag-failure'
import { bytecodeOf } from '../kernel/sock-diag-filter'
import { custom, spec, type InputOf } from '../spec'
import { socketFilter, type SocketFilter } from './filter'

export const delayedSegmentsAccepted = spec({
  iAcceptDelayedSegments: custom<true>('true', (argument, value) => {
    if (value !== true) throw new ArgumentValueError(argument, 'must be true', value)
    return value
  }).required(),
})

/** What the caller of {@link destroyTimeWait} has to write, so that nobody calls it unawares. */
export type DelayedSegmentsAccepted = Readonly<InputOf<typeof delayedSegmentsAccepted>>

/**
 * Removes TIME_WAIT entries of this network namespace before their time and returns how many, of IPv4 and
 * IPv6 (SOCK_DESTROY, sock_diag(7)). **For test rigs**, which want their ports back between two runs:
 * TIME_WAIT is there for a reason, and what it protects from can happen afterwards:
 *
 * 1. A delayed segment of the old connection is accepted by the next one on the same addresses and ports:
 *    its bytes are silently in the new stream. TCP timestamps (PAWS, RFC 7323 section 5) keep them out, but
 *    only where the new connection has them.
 * 2. A peer whose FIN was not acknowledged (LAST_ACK) meets the next connection on the same ports, which
 *    is delayed by some milliseconds (RFC 5961 section 4.2).
 *
 * `{}` removes all. Live sockets are never touched, also not one that takes the ports of an entry
 * meanwhile: the kernel compares the cookie of each. Entries that end meanwhile are not counted; those that
 * come meanwhile may stay. The work is done in a thread of the pool, in a few MiB of memory.
 *
 * Linux, with CONFIG_INET_DIAG_DESTROY; needs CAP_NET_ADMIN in the user namespace that owns the network
 * namespace.
 *
 * @param filter a name that is no field of a filter, or a field without a value, is refused: it would
 *   remove more than was meant
 * @throws (as a rejection) ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE,
 *   ERR_SOCKET_TUNER_UNKNOWN_OPTION; ERR_SOCKET_TUNER_UNSUPPORTED where the kernel cannot do it; EPERM without the capability
 */
export async function destroyTimeWait(
  filter: SocketFilter,
  accepted: DelayedSegmentsAccepted,
): Promise<number> {
  delayedSegmentsAccepted.check('accepted', accepted)
  const bytecode = bytecodeOf(checkWhole(filter))
  return new Promise((resolve, reject) => {
    const settle = (result: number): void => {
      if (result < 0) reject(failure(result))
      else resolve(result)
    }
    const begun = native.destroyTimeWait(bytecode, settle)
    if (begun < 0) settle(begun)
  })
}

/** A field without a value would match more than was meant. */
function checkWhole(filter: unknown): SocketFilter {
  const checked = socketFilter.check('filter', filter)
  for (const [name, value] of Object.entries(filter as object)) {
    if (value !== undefined) continue
    const reason = 'must have a value, or be left out to match all'
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
