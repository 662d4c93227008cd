/** What can be known of an idle connection before it is used again. */
import type * as net from 'node:net'
import { native } from '../../kernel/binding'
import { transportHandleOf } from '../../node/handle'
import { connectionState } from '../../observe/tcp-info'

/**
 * Whether an idle connection can carry another request, as far as this side knows: the peer's FIN or
 * RST, or input that nobody asked for, may be in the kernel before the event loop has seen it. One
 * system call, TCP_INFO.
 *
 * On TLS unread input may be as harmless as a session ticket (RFC 8446 section 4.6), which follows
 * the handshake and so was read with the first answer. What comes later is the close_notify that goes
 * before a FIN, or as good as never.
 */
export function isUsable(socket: net.Socket): boolean {
  if (!isWhole(socket)) return false
  if (socket.connecting) return true
  const { fd = -1, bytesRead = 0 } = transportHandleOf(socket) ?? {}
  // On Windows, or over a stream that is no socket.
  if (fd < 0) return true
  const { state, bytesReceived } = connectionState(fd)
  if (state !== undefined && state !== 'ESTABLISHED') return false
  return bytesReceived === undefined ? native.unreadBytes(fd) <= 0 : bytesReceived <= bytesRead
}

/** What Node knows of it, without a system call. */
export function isWhole(socket: net.Socket): boolean {
  return (
    !socket.destroyed && socket.writable && !socket.readableEnded && socket.readableLength === 0
  )
}

/**
 * How long a connection may be idle, ms, by its server's Keep-Alive header (RFC 2068 section
 * 19.7.1.1); Infinity where it does not say, 0 or less where the connection cannot be used again.
 */
export function idleLimit(header: string | undefined, marginMs: number): number {
  const [, seconds] = /(?:^|[\s,;])timeout\s*=\s*"?(\d+)/i.exec(header ?? '') ?? []
  return seconds === undefined ? Infinity : Number(seconds) * 1000 - marginMs
}
