/** What a socket still holds at the moment of its close. */
import type * as net from 'node:net'
import { native } from '../binding'
import type { ConnectionState } from '../observe/tcp-info'
import { handleOf, transportHandleOf } from '../target'
import { isTls } from './tls'

/**
 * Bytes that were written to the stream and are not in the kernel: what the stream buffers, and
 * what libuv could not write yet. A write's callback comes only when both are 0.
 */
export function bytesNotInKernel(socket: net.Socket): number {
  const handle = handleOf(socket)
  if (handle === undefined) return socket.writableLength
  const dispatched = handle.bytesWritten ?? 0
  return (
    Math.max(0, socket.bytesWritten - dispatched) + (transportHandleOf(socket)?.writeQueueSize ?? 0)
  )
}

/**
 * The same for a connection that may be gone: then what its kernel held is lost too, and what libuv
 * could not write any more has left its queue, so all counts that the peer did not acknowledge.
 */
export function bytesLost(
  socket: net.Socket,
  { state, bytesAcked }: Pick<ConnectionState, 'state' | 'bytesAcked'>,
): number {
  const pending = bytesNotInKernel(socket)
  // On TLS the peer acknowledges other bytes than were written.
  if (state !== 'CLOSE' || bytesAcked === undefined || isTls(socket)) return pending
  // The SYN of the side that connected counts as one.
  const syn = (socket as { server?: unknown }).server === null ? 1 : 0
  return Math.max(pending, socket.bytesWritten - Math.max(0, bytesAcked - syn))
}

/** Whether the peer's kernel has everything that this one was given, the FIN included. */
export function isAcknowledged(fd: number): boolean {
  return native.unacknowledgedBytes(fd) <= 0
}

/**
 * Reads and throws away what the kernel has received and the program has not: close() with unread
 * input sends a RST and drops the send queue (RFC 2525 section 2.17; RFC 9293 section 3.6).
 *
 * Costs no system call where the kernel's count of received bytes equals libuv's count of read ones.
 */
export function discardUnread(
  fd: number,
  socket: net.Socket,
  { bytesReceived }: Pick<ConnectionState, 'bytesReceived'>,
): number {
  const read = transportHandleOf(socket)?.bytesRead
  if (bytesReceived !== undefined && read !== undefined && bytesReceived <= read) return 0
  return Math.max(0, native.discardInput(fd))
}
