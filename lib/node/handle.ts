/**
 * The handles below Node's sockets and servers: `_handle`, the objects of libuv that own the
 * descriptors. A socket has none before it connects and none once it is destroyed, so everything here
 * reads the handle anew at each call.
 */
import type * as net from 'node:net'
import { isDatagram } from './datagram'

/** The handle of a stream or a listener, as far as this library reads it. */
export interface Handle {
  /** Absent on a cluster worker's shared server and on Windows; below 0 while there is no descriptor. */
  readonly fd?: number
  readonly bytesRead?: number
  readonly bytesWritten?: number
  /** Bytes that libuv could not write yet. */
  readonly writeQueueSize?: number
  /** Of a TLS handle: the handle below it. */
  readonly _parent?: Handle
  /** Of a TLS handle: the socket that TLS was laid over; null where Node made the connection for it. */
  readonly _parentWrap?: net.Socket | null
}

interface HandleOwner {
  readonly _handle?: Handle | null
}

/**
 * The handle of a net.Socket or net.Server; undefined where there is none. Not for a dgram.Socket,
 * whose `_handle` is deprecated (DEP0112).
 */
export function handleOf(target: object): Handle | undefined {
  return (target as HandleOwner)._handle ?? undefined
}

/** The handle at the bottom: the TCP one below TLS. */
export function transportHandleOf(target: object): Handle | undefined {
  if (isDatagram(target)) return undefined
  let handle = handleOf(target)
  while (handle?._parent !== undefined) handle = handle._parent
  return handle
}

/** The descriptor of a socket at this moment; -1 where there is none. */
export function transportFd(socket: object): number {
  return transportHandleOf(socket)?.fd ?? -1
}

/** The socket whose close closes the connection: the one below a TLS socket, or the socket itself. */
export function carrierOf(socket: net.Socket): net.Socket {
  return handleOf(socket)?._parentWrap ?? socket
}
