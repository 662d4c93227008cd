import type * as dgram from 'node:dgram'
import type * as http2 from 'node:http2'
import type * as net from 'node:net'
import {
  ArgumentTypeError,
  SocketTunerError,
  checkWhole,
  type SocketTunerErrorCode,
} from './errors'
import { isInPrimary } from './node/cluster'
import { datagramHandleOf, isDatagram } from './node/datagram'
import { whyNoDescriptor } from './node/descriptors'
import { handleOf, type Handle } from './node/handle'
import { isUnbound, ownSocket } from './node/session-socket'
import { MAX_INT32 } from './spec'

/** An object that owns a descriptor and exposes it, as a RawSocket does. */
export interface DescriptorOwner {
  readonly fd: number
}

/**
 * A socket as the functions of this library accept it: a descriptor number, or one of Node's objects.
 * A `tls.TLSSocket` is a `net.Socket`, and `http`, `https`, `http2` and `tls` servers are `net.Server`s.
 */
export type Target =
  number | net.Socket | net.Server | http2.Http2Session | dgram.Socket | DescriptorOwner

/**
 * Returns the descriptor of a target at this moment. Callers must not keep it: the number may belong to another
 * socket as soon as this one is closed.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE; ERR_SOCKET_TUNER_DESTROYED, ERR_SOCKET_TUNER_NO_HANDLE,
 *   ERR_SOCKET_TUNER_NO_DESCRIPTOR, ERR_SOCKET_TUNER_SHARED_HANDLE, ERR_SOCKET_TUNER_UNSUPPORTED
 */
export function descriptorOf(target: Target): number {
  if (typeof target === 'object' && (target as object | null) !== null) {
    // Checked first: reading `_handle` of a dgram.Socket emits a deprecation warning.
    if (isDatagramTarget(target)) return datagramDescriptor(target)
    const handle = handleOf(target)
    const fd = handle?.fd
    return isDescriptor(fd) ? fd : slowDescriptorOf(target, handle)
  }
  if (typeof target === 'number') {
    checkWhole('target', target, 0, MAX_INT32)
    return target
  }
  throw notATarget(target)
}

function isDescriptor(fd: unknown): fd is number {
  return typeof fd === 'number' && (fd | 0) === fd && fd >= 0
}

/** Whether the target is a server, listening or not. */
export function isServer(target: unknown): target is net.Server {
  if (typeof target !== 'object' || target === null) return false
  try {
    return (
      typeof (target as Partial<net.Server>).listen === 'function' &&
      typeof (target as Partial<net.Server>).getConnections === 'function'
    )
  } catch (error) {
    throw unreadable(error)
  }
}

/** Whether the target is a net.Socket, a tls.TLSSocket or an object with their methods. */
export function isStreamSocket(target: unknown): target is net.Socket {
  if (typeof target !== 'object' || target === null) return false
  try {
    return (
      typeof (target as Partial<net.Socket>).destroySoon === 'function' &&
      typeof (target as Partial<net.Socket>).connect === 'function'
    )
  } catch (error) {
    throw unreadable(error)
  }
}

/** Converts the error of a destroyed HTTP/2 session, whose `socket` throws on every access. */
function unreadable(error: unknown): unknown {
  return isUnbound(error) ? sessionDestroyed() : error
}

function sessionDestroyed(): SocketTunerError {
  return refusal('ERR_SOCKET_TUNER_DESTROYED', 'The HTTP/2 session is destroyed')
}

/** Whether the target is an HTTP/2 session, of a client or a server. */
export function isHttp2Session(target: unknown): target is http2.Http2Session {
  return (
    typeof target === 'object' &&
    target !== null &&
    typeof (target as Partial<http2.Http2Session>).goaway === 'function'
  )
}

/**
 * Returns the socket below an HTTP/2 session.
 *
 * @throws ERR_SOCKET_TUNER_DESTROYED, ERR_SOCKET_TUNER_NO_DESCRIPTOR
 */
export function socketOfSession(session: http2.Http2Session): net.Socket {
  sessionDescriptor(session)
  return ownSocket(session.socket)
}

function slowDescriptorOf(target: object, handle: Handle | undefined): number {
  if (isServer(target)) throw serverWithout(target, handle)
  if (isStreamSocket(target)) throw socketWithout(target, handle)
  if (isHttp2Session(target)) return sessionDescriptor(target)
  if ('fd' in target) return ownedDescriptor(target as DescriptorOwner)
  throw notATarget(target)
}

function ownedDescriptor(owner: DescriptorOwner): number {
  const { fd } = owner
  checkWhole('target.fd', fd, 0, MAX_INT32)
  return fd
}

function sessionDescriptor(session: http2.Http2Session): number {
  let fd: number | undefined
  if (!session.destroyed) fd = handleOf(session.socket)?.fd
  if (isDescriptor(fd)) return fd
  throw session.destroyed
    ? sessionDestroyed()
    : refusal(
        'ERR_SOCKET_TUNER_NO_DESCRIPTOR',
        "The HTTP/2 session is not connected yet: wait for 'connect'",
      )
}

function isDatagramTarget(target: object): target is dgram.Socket {
  try {
    return isDatagram(target)
  } catch (error) {
    throw unreadable(error)
  }
}

function datagramDescriptor(socket: dgram.Socket): number {
  const handle = datagramHandleOf(socket)
  if (handle === undefined)
    throw refusal('ERR_SOCKET_TUNER_DESTROYED', 'The datagram socket is closed')
  if (isDescriptor(handle.fd)) return handle.fd
  throw refusal(
    'ERR_SOCKET_TUNER_NO_DESCRIPTOR',
    "The datagram socket is not bound yet: wait for 'listening'",
  )
}

function serverWithout(server: net.Server, handle: Handle | undefined): Error {
  if (handle === undefined) {
    return refusal(
      'ERR_SOCKET_TUNER_NO_HANDLE',
      "The server is not listening: call this after 'listening' and before close()",
    )
  }
  return isInPrimary(server) && whyNoDescriptor === undefined
    ? refusal(
        'ERR_SOCKET_TUNER_SHARED_HANDLE',
        'The listening socket of the server belongs to the primary process of the cluster, not to this worker',
      )
    : withoutDescriptor('server')
}

function socketWithout(socket: net.Socket, handle: Handle | undefined): Error {
  if (socket.destroyed) return refusal('ERR_SOCKET_TUNER_DESTROYED', 'The socket is destroyed')
  if (handle === undefined) {
    return refusal(
      'ERR_SOCKET_TUNER_NO_HANDLE',
      "The socket has no handle: it is not connecting yet; wait for 'connect'",
    )
  }
  return withoutDescriptor('socket')
}

function withoutDescriptor(what: string): Error {
  return whyNoDescriptor !== undefined
    ? refusal('ERR_SOCKET_TUNER_UNSUPPORTED', `The ${what} has no descriptor: ${whyNoDescriptor}`)
    : refusal(
        'ERR_SOCKET_TUNER_NO_DESCRIPTOR',
        `The ${what} has no descriptor: it is being opened, its host name is being looked up, or it runs over another stream; wait for 'connect'`,
      )
}

function refusal(code: SocketTunerErrorCode, message: string): SocketTunerError {
  return new SocketTunerError(message, { code })
}

function notATarget(target: unknown): ArgumentTypeError {
  return new ArgumentTypeError(
    'target',
    'a descriptor number or an instance of net.Socket, net.Server, tls.TLSSocket, http2.Http2Session, dgram.Socket or RawSocket',
    target,
  )
}
