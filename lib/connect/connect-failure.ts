/** Errors for a failed connect(), with Node's fields, and the cause and the fix in the message. */
import { constants as os } from 'node:os'
import { getSystemErrorName } from 'node:util'
import { SocketTunerError } from '../errors'
import { endpoint } from './address'
import { exhaustionText, type Exhausted } from './exhaustion'
import { reasonOf, type RefusedCall } from './refusals'

/** A connection that failed. */
interface FailedConnect extends Exhausted {
  /** Negated. */
  readonly errno: number
  /** The source address, which a pool may have chosen. */
  readonly source: string | undefined
  /** The failure came from the network, after connect(2) had returned. */
  readonly answered: boolean
}

/** Returns the error, or undefined if this library has nothing to add to Node's own. */
export function connectFailure(failed: FailedConnect): SocketTunerError | undefined {
  const { errno, localAddress, localPort } = failed
  const code = getSystemErrorName(errno)
  const exhausted = errno === -os.errno.EADDRNOTAVAIL ? exhaustionText(failed) : undefined
  const reason = exhausted === undefined ? reasonOf('connect', code, failed) : `: ${exhausted.why}`
  if (reason === '') return undefined
  const local = localAddress === undefined ? '' : ` - Local (${endpoint(localAddress, localPort)})`
  return failure(errno, failed, `${local}${reason}`, {
    localAddress,
    localPort: localPort > 0 ? localPort : undefined,
    space: exhausted?.space,
    timeWait: exhausted?.timeWait,
  })
}

/** Returns an error with the message of Node's own. */
export function plainFailure(
  errno: number,
  to: Pick<FailedConnect, 'address' | 'port'>,
): SocketTunerError {
  return failure(errno, to, '', {})
}

function failure(
  errno: number,
  { address, port }: Pick<FailedConnect, 'address' | 'port'>,
  text: string,
  more: Omit<ConstructorParameters<typeof SocketTunerError>[1], 'code'>,
): SocketTunerError {
  const code = getSystemErrorName(errno)
  const message = `connect ${code} ${endpoint(address, port)}${text}`
  return new SocketTunerError(message, { code, errno, syscall: 'connect', address, port, ...more })
}

/**
 * Returns the error for a connection whose socket(2) failed, which Node reports as a failed connect().
 *
 * @param call the destination; without a port, the address is the path of a unix-domain socket
 */
export function noSocket(
  errno: number,
  call: Required<Pick<RefusedCall, 'address'>> & Pick<RefusedCall, 'port'>,
): SocketTunerError {
  const { address, port } = call
  const code = getSystemErrorName(errno)
  const to = port === undefined ? address : endpoint(address, port)
  return new SocketTunerError(`connect ${code} ${to}${reasonOf('socket', code, call)}`, {
    code,
    errno,
    syscall: 'connect',
    address,
    port,
  })
}
