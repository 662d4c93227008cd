/** The check of an idle connection before reuse. */
import type * as net from 'node:net'
import { native } from '../../kernel/binding'
import { transportHandleOf } from '../../node/handle'
import { connectionState } from '../../observe/tcp-info'

/**
 * Whether an idle connection can carry another request, as far as this side knows. The kernel may hold the peer's FIN
 * or RST, or unexpected input, that the event loop has not seen yet. Makes one system call, for TCP_INFO.
 *
 * On TLS, unread input counts as unexpected too. Session tickets (RFC 8446 section 4.6) follow the handshake, so they
 * were read with the first answer at the latest. Later input is nearly always the close_notify before a FIN.
 */
export function isUsable(socket: net.Socket): boolean {
  if (!isIntact(socket)) return false
  if (socket.connecting) return true
  const { fd = -1, bytesRead = 0 } = transportHandleOf(socket) ?? {}
  // On Windows, or over a stream that is not a socket.
  if (fd < 0) return true
  const { state, bytesReceived } = connectionState(fd)
  if (state !== undefined && state !== 'ESTABLISHED') return false
  return bytesReceived === undefined ? native.unreadBytes(fd) <= 0 : bytesReceived <= bytesRead
}

/** The part of the check that needs no system call. */
export function isIntact(socket: net.Socket): boolean {
  return (
    !socket.destroyed && socket.writable && !socket.readableEnded && socket.readableLength === 0
  )
}
