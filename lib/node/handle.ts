/**
 * The handles of Node's sockets and servers: `_handle`, the libuv objects that own the descriptors. A socket has no
 * handle before it connects and after it is destroyed, so every function here reads the handle at each call.
 */
import type * as net from 'node:net'
import { isDatagram } from './datagram'

/** The handle of a stream or a listener: the members that this library reads. */
export interface Handle {
  /** Absent on the shared server of a cluster worker and on Windows; negative while there is no descriptor. */
  readonly fd?: number
  readonly bytesRead?: number
  readonly bytesWritten?: number
  /** Bytes that libuv has not written yet. */
  readonly writeQueueSize?: number
  /** On a TLS handle: the handle below it. */
  readonly _parent?: Handle
  /** On a TLS handle: the socket below it; null if tls.connect() opened the connection itself. */
  readonly _parentWrap?: net.Socket | null
}

/** A handle that accepts a descriptor. `open()` returns 0 or the negated errno. */
export interface Adopting {
  open(fd: number): number
}

interface HandleOwner {
  readonly _handle?: Handle | null
}

/**
 * The handle of a net.Socket or net.Server; undefined if it has none. Not for a dgram.Socket, whose `_handle` is
 * deprecated (DEP0112).
 */
export function handleOf(target: object): Handle | undefined {
  return (target as HandleOwner)._handle ?? undefined
}

/** The lowest handle: below TLS, that of the TCP socket. */
export function transportHandleOf(target: object): Handle | undefined {
  if (isDatagram(target)) return undefined
  let handle = handleOf(target)
  while (handle?._parent !== undefined) handle = handle._parent
  return handle
}

/** The current descriptor of a socket; -1 if it has none. */
export function transportFd(socket: object): number {
  return transportHandleOf(socket)?.fd ?? -1
}

/** The socket that owns the connection: the one below a TLS socket, otherwise the socket itself. */
export function carrierOf<Stream extends object>(socket: Stream): Stream | net.Socket {
  return handleOf(socket)?._parentWrap ?? socket
}

/**
 * Whether a server listens on a socket that it was given, as a descriptor or a handle: Node has no address for it then.
 * Other processes may have the same socket.
 */
export function hasGivenSocket(server: net.Server): boolean {
  const { _connectionKey: key } = server as { readonly _connectionKey?: string }
  return key === undefined || /^-?\d+:null:|^null:/.test(key)
}
