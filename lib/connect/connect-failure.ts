/** The error of a connect() that failed: Node's own fields, and a message that names the way out. */
import { constants as os } from 'node:os'
import { getSystemErrorName } from 'node:util'
import { SocketTunerError } from '../errors'
import { endpoint } from './address'
import { exhaustionText, type Exhausted } from './exhaustion'
import { reasonOf, type RefusedCall } from './refusals'

/** A connection that was not made. */
export interface FailedConnect extends Exhausted {
  /** Negated. */
  readonly errno: number
  /** The source address, also where a pool chose it. */
  readonly source: string | undefined
  /** The answer came over the network, after connect(2). */
  readonly answered: boolean
}

/** Undefined where there is nothing to explain: Node's own error says it all. */
export function connectFailure(failed: FailedConnect): SocketTunerError | undefined {
  const { errno, address, port, localAddress, localPort } = failed
  const code = getSystemErrorName(errno)
  const exhausted = errno === -os.errno.EADDRNOTAVAIL ? exhaustionText(failed) : undefined
  const reason = exhausted === undefined ? reasonOf('connect', code, failed) : `: ${exhausted.why}`
  if (reason === '') return undefined
  const local = localAddress === undefined ? '' : ` - Local (${endpoint(localAddress, localPort)})`
  return new SocketTunerError(`connect ${code} ${endpoint(address, port)}${local}${reason}`, {
    code,
    errno,
    syscall: 'connect',
    address,
    port,
    localAddress,
    localPort: localPort > 0 ? localPort : undefined,
    space: exhausted?.space,
    timeWait: exhausted?.timeWait,
  })
}

/**
 * For a connection that has no descriptor: Node calls a socket(2) that is refused a failed connect().
 *
 * @param call its address, and its port unless it is the path of a unix-domain socket
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
