/** Errors for a failed connect(), with Node's fields, and the cause and the fix in the message. */
import { constants as os } from 'node:os'
import type * as net from 'node:net'
import { getSystemErrorName } from 'node:util'
import { SocketTunerError } from '../errors'
import { native } from '../kernel/binding'
import { handleOf } from '../node/handle'
import { answerConnect, replaceConnectError, tcpHandle } from '../node/tcp-handle'
import { endpoint } from './address'
import type { BindOptions } from './raw-socket-options'
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

/** Adds the cause and the fix to the errors of the next connect(). */
export function explainFailures(socket: net.Socket, bound: BindOptions): void {
  const handle = tcpHandle(handleOf(socket))
  if (handle === undefined) return
  const { address, port: localPort = 0 } = bound
  const source = address === '0.0.0.0' || address === '::' ? undefined : address
  answerConnect(handle, (call) => {
    const failureOf = (errno: number, answered: boolean): Error | undefined => {
      const confined = hasPortRange(handleOf(socket)?.fd ?? -1)
      const from = { source, localAddress: source, localPort, confined, poolSize: undefined }
      return connectFailure({ ...call, ...from, errno, answered })
    }
    const result = call.connect()
    const failure = result < 0 ? failureOf(result, false) : undefined
    if (failure === undefined) {
      replaceConnectError(socket, call.request, (status) => failureOf(status, true))
      return result
    }
    socket.destroy(failure)
    return 0
  })
}

function hasPortRange(fd: number): boolean {
  const { IPPROTO_IP, IP_LOCAL_PORT_RANGE } = native.constants
  if (IPPROTO_IP === undefined || IP_LOCAL_PORT_RANGE === undefined) return false
  return native.getInt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE) > 0
}
