import type * as http2 from 'node:http2'
import type * as net from 'node:net'
import { native } from '../kernel/binding'
import { ArgumentTypeError, ArgumentValueError } from '../errors'
import { transportFd } from '../node/handle'
import { ownSocket } from '../node/session-socket'
import { connectionState } from '../observe/tcp-info'
import { setOption } from '../options/access'
import {
  descriptorOf,
  isHttp2Session,
  isServer,
  isStreamSocket,
  socketOfSession,
  type Target,
} from '../target'
import { hazard } from '../warnings'
import { close as closeOption, written, type Close } from './close-options'
import { attachPolicy, detachPolicy, policyOf } from './hooks'
import { ClosePolicy, type PolicyOptions } from './mode'
import { closeModes } from './modes'
import { removeServerPolicy, serverPolicyOf, setServerPolicy } from './server-policy'

/**
 * Sets how destroy() and destroySoon() close a socket, or every connection that a server accepts, from now on, also
 * when a framework calls them. `end()` stays a half-close unless the close has `onEnd: 'close'`. Null restores Node's own
 * close, which is not counted.
 *
 * With `deliver`, the last system call before close() finds out whether timestamps were negotiated and whether input is
 * unread; `requireTimestamps: false` saves it. On a descriptor number, the mode is a kernel option that acts whoever
 * closes the descriptor, and `lingering` is refused.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE,
 *   ERR_SOCKET_TUNER_UNKNOWN_OPTION; what `setOption` throws
 */
export function setCloseMode(target: Target, close: Close | null): void {
  const checked = close === null ? null : closeOption.required().check('close', close)
  if (isServer(target)) {
    if (checked === null) removeServerPolicy(target)
    else setServerPolicy(target, checked)
    return
  }
  if (isHttp2Session(target)) {
    setSocketPolicy(socketOfSession(target), checked)
    return
  }
  if (isStreamSocket(target)) {
    if (target.destroyed) descriptorOf(target)
    // The proxy of an HTTP/2 session is unusable by the time the socket closes.
    setSocketPolicy(ownSocket(target), checked)
    return
  }
  setKernelPolicy(target, checked)
}

/**
 * Returns the standing close of a socket, a server's connections or an HTTP/2 session; null for Node's own close. A
 * descriptor number has none: use `getOption()` for SO_LINGER and TCP_LINGER2.
 *
 * @throws ERR_INVALID_ARG_TYPE
 */
export function getCloseMode(target: net.Socket | net.Server | http2.Http2Session): Close | null {
  const policy = standingOf(target)
  return policy === undefined ? null : written(policy)
}

function standingOf(target: unknown): PolicyOptions | undefined {
  if (isServer(target)) return serverPolicyOf(target)
  if (isHttp2Session(target)) return policyOf(socketOfSession(target))?.options
  if (isStreamSocket(target)) return policyOf(target)?.options
  throw new ArgumentTypeError('target', 'a socket, a server or an HTTP/2 session', target)
}

function setSocketPolicy(socket: net.Socket, options: PolicyOptions | null): void {
  const { armed = false, lingering, awaited } = policyOf(socket) ?? {}
  // A closeSocket() that is under way keeps its own mode.
  if (awaited !== undefined) return
  if (options !== null) {
    attachPolicy(new ClosePolicy(socket, options, armed, lingering))
    return
  }
  const fd = transportFd(socket)
  if (armed && fd >= 0) setOption(fd, 'TCP_LINGER2', 0)
  detachPolicy(socket)
}

/** Gets the descriptor anew before each call, since a subscriber to a warning may have closed it. */
function setKernelPolicy(target: Target, options: PolicyOptions | null): void {
  const { mode = closeModes.fin, requireTimestamps = true } = options ?? {}
  descriptorOf(target)
  if (mode.onDescriptor === undefined) {
    throw new ArgumentValueError('close', 'needs a net.Socket, not a descriptor, to be', mode.name)
  }
  refuseOnDescriptor(options)
  const { resets, forgets } = mode.onDescriptor
  setOption(target, 'SO_LINGER', { enabled: resets, seconds: 0 })
  if (native.constants.TCP_LINGER2 === undefined && !forgets) return
  const forgotten = forgets && !unprotected(descriptorOf(target), requireTimestamps)
  setOption(target, 'TCP_LINGER2', forgotten ? -1 : 0)
}

/** Refuses options that only a stream can have: a descriptor does not end, time out or fail. */
function refuseOnDescriptor(options: PolicyOptions | null): void {
  const { onEnd = 'half-close', onTimeout, onError } = options ?? {}
  const refuse = (name: string, value: string): never => {
    throw new ArgumentValueError(
      `close.${name}`,
      'needs a net.Socket, not a descriptor, to be',
      value,
    )
  }
  if (onEnd !== 'half-close') refuse('onEnd', onEnd)
  if (onTimeout !== undefined) refuse('onTimeout', onTimeout.name)
  if (onError !== undefined) refuse('onError', onError.name)
}

/** Whether the connection needs its TIME_WAIT, because it has no timestamps. */
function unprotected(fd: number, requireTimestamps: boolean): boolean {
  if (!requireTimestamps) return false
  const { state, timestamps } = connectionState(fd)
  if (state !== 'ESTABLISHED' || timestamps) return false
  hazard(
    'SOCKET_TUNER_DELIVER_FALLBACK',
    'timestamps',
    `fd ${String(fd)} will close with 'fin' instead of 'deliver': the connection has no TCP timestamps`,
  )
  return true
}
