/**
 * `session.socket` of HTTP/2: a proxy that binds each method to the socket behind it, refuses some of
 * them, and throws for everything once its session is destroyed.
 */
import type * as net from 'node:net'

/** Whether an error comes of such a proxy whose session is destroyed. */
export function isUnbound(error: unknown): boolean {
  const { code } = (error ?? {}) as { readonly code?: unknown }
  return code === 'ERR_HTTP2_SOCKET_UNBOUND'
}

/** Whether a socket is such a proxy. */
export function isSessionSocket(socket: net.Socket): boolean {
  return ownSocket(socket) !== socket
}

/** The socket behind such a proxy, which off() of the proxy returns; any other socket itself. */
export function ownSocket(socket: net.Socket): net.Socket {
  return socket.off('close', nothing)
}

function nothing(): void {
  // Never registered.
}
