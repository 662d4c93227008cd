/**
 * Where a socket comes from. `socket.server` is the net.Server that accepted it, null on a plain socket
 * that this process connects, and undefined on such a TLS socket.
 */
import type * as net from 'node:net'

interface Accepted {
  readonly server?: net.Server | null
}

/** Whether a server accepted the socket. */
export function isAccepted(socket: net.Socket): boolean {
  return ((socket as Accepted).server ?? null) !== null
}

/** Whether this server accepted it: a program may give a server any socket. */
export function isAcceptedBy(server: net.Server, socket: net.Socket): boolean {
  return (socket as Accepted).server === server
}

/** Whether a plain socket is one that this process connects. */
export function isConnected(socket: net.Socket): boolean {
  return (socket as Accepted).server === null
}
