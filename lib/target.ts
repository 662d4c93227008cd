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

/** Anything that owns a descriptor of its own and says which, as {@link RawSocket} does. */
export interface DescriptorOwner {
  readonly fd: number
}

/**
 * What this library's functions take as a socket: a descriptor number, or one of Node's objects.
 * `tls.TLSSocket` is a `net.Socket`, and `http`, `https`, `http2` and `tls` servers are `net.Server`s.
 */
export type Target =
  number | net.Socket | net.Server | http2.Http2Session | dgram.Socket | DescriptorOwner

const MAX_FD = 2 ** 31 - 1

/**
 * The descriptor of a target at this moment. It is asked for at every call and never kept: the
 * number may belong to another socket as soon as this one is closed.
 */
export function descriptorOf(target: Target): number {
  if (typeof target === 'object' && (target as object | null) !== null) {
    // First, since the `_handle` of a dgram.Socket is deprecated and says so.
    if (isDatagramTarget(target)) return datagramDescriptor(target)
    const handle = handleOf(target)
    const fd = handle?.fd
    return isDescriptor(fd) ? fd : slowDescriptorOf(target, handle)
  }
  if (typeof target === 'number') {
    checkWhole('target', target, 0, MAX_FD)
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

/** Whether the target is a net.Socket, a tls.TLSSocket or something that behaves as one. */
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

/** Nothing can be read of an HTTP/2 session's `socket` once the session is destroyed. */
function unreadable(error: unknown): unknown {
  return isUnbound(error) ? sessionDestroyed() : error
}

function sessionDestroyed(): SocketTunerError {
  return refusal('ERR_SOCKET_TUNER_DESTROYED', 'The HTTP/2 session is destroyed')
}

/** Whether the target is an HTTP/2 session, client's or server's. */
export function isHttp2Session(target: unknown): target is http2.Http2Session {
  return (
    typeof target === 'object' &&
    target !== null &&
    typeof (target as Partial<http2.Http2Session>).goaway === 'function'
  )
}

/**
 * The socket below an HTTP/2 session.
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
  checkWhole('target.fd', fd, 0, MAX_FD)
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
      "The server is not listening: call this after 'listening', or not again after close()",
    )
  }
  return isInPrimary(server) && whyNoDescriptor === undefined
    ? refusal(
        'ERR_SOCKET_TUNER_SHARED_HANDLE',
        "The server's listening socket is held by the cluster's primary process, not by this worker",
      )
    : withoutDescriptor('server')
}

function socketWithout(socket: net.Socket, handle: Handle | undefined): Error {
  if (socket.destroyed) return refusal('ERR_SOCKET_TUNER_DESTROYED', 'The socket is destroyed')
  if (handle === undefined) {
    return refusal(
      'ERR_SOCKET_TUNER_NO_HANDLE',
      "The socket has no handle yet: it was never connected; wait for 'connect'",
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
