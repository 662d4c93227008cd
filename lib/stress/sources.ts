/** Tests the source addresses of a run before its load. */
import { RawSocket } from '../connect/raw-socket'
import { familyOf } from '../connect/address'
import { SocketTunerError } from '../errors'
import type { CheckedStress } from './options'
import { sourcesOf } from './plan'

/** The errors of bind(2) that another attempt, or another run, would have too. */
const LASTING: readonly string[] = ['EADDRNOTAVAIL', 'EINVAL', 'EACCES']
/** Addresses that a message names. */
const MOST_NAMED = 3

/**
 * Binds a socket to each source address. All connections from an address that is not of this host would fail.
 *
 * @throws the errno name of bind(2), with the addresses that cannot be used
 */
export function requireSources(options: CheckedStress): void {
  const failures = sourcesOf(options).flatMap((address) => {
    const error = bindError(address, options)
    return error === undefined ? [] : [{ address, error }]
  })
  const [first, ...others] = failures
  if (first === undefined) return
  const { code, errno, syscall, address, message } = first.error
  throw new SocketTunerError(
    `No connection can be made from ${first.address}: ${message}${alsoOf(others.map((other) => other.address))}`,
    { code, errno, syscall, address, cause: first.error },
  )
}

function bindError(address: string, { settings }: CheckedStress): SocketTunerError | undefined {
  try {
    // With the settings: IP_FREEBIND allows any address.
    const socket = RawSocket.open(familyOf('source', address), settings)
    try {
      socket.bind({ address })
    } finally {
      socket.close()
    }
  } catch (error) {
    // The connections will report another failure, for example of a platform without such sockets.
    if (error instanceof SocketTunerError && error.syscall === 'bind')
      return LASTING.includes(error.code) ? error : undefined
  }
  return undefined
}

function alsoOf(others: readonly string[]): string {
  if (others.length === 0) return ''
  const more = others.length - MOST_NAMED
  const named = others.slice(0, MOST_NAMED).join(', ')
  return `. The same is true of ${named}${more > 0 ? ` and ${String(more)} more` : ''}`
}
