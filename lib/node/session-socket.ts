/**
 * `session.socket` of HTTP/2: a proxy of the real socket. It binds each method to that socket, refuses some methods,
 * and throws on every access once its session is destroyed.
 */
import type * as net from 'node:net'

/** Whether an error was thrown by such a proxy because its session is destroyed. */
export function isUnbound(error: unknown): boolean {
  const { code } = (error ?? {}) as { readonly code?: unknown }
  return code === 'ERR_HTTP2_SOCKET_UNBOUND'
}

/** Whether a socket is such a proxy. */
export function isSessionSocket(socket: net.Socket): boolean {
  return ownSocket(socket) !== socket
}

/** The socket behind such a proxy, which off() of the proxy returns. For any other socket, the socket itself. */
export function ownSocket(socket: net.Socket): net.Socket {
  return socket.off('close', nothing)
}

function nothing(): void {
  // Never registered.
}
