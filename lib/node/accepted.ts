/**
 * The origin of a socket. `socket.server` is the net.Server that accepted it. It is null on a plain socket that
 * this process connects, and undefined on such a TLS socket.
 */
import type * as net from 'node:net'

interface Accepted {
  readonly server?: net.Server | null
}

/** Whether a server accepted the socket. */
export function isAccepted(socket: object): boolean {
  return ((socket as Accepted).server ?? null) !== null
}

/** Whether this server accepted the socket: a program can emit 'connection' on a server with any socket. */
export function isAcceptedBy(server: net.Server, socket: net.Socket): boolean {
  return (socket as Accepted).server === server
}

/** Whether a plain socket is one that this process connects. */
export function isConnected(socket: object): boolean {
  return (socket as Accepted).server === null
}

/** Lists the objects that own the thread's active handles, which keep it alive (DEP0161). */
interface ActiveHandles {
  _getActiveHandles?(): readonly object[]
}

/**
 * The sockets that a server accepted, without those on which unref() was called. With TLS, the plain sockets below
 * it. Reads all handles of the thread, so it is only for rare calls.
 */
export function socketsAcceptedBy(server: net.Server): readonly net.Socket[] {
  const handles = (process as ActiveHandles)._getActiveHandles?.() ?? []
  // A handle is listed until its close has been reported.
  return (handles as readonly net.Socket[]).filter(
    (socket) => isAcceptedBy(server, socket) && !socket.destroyed,
  )
}
