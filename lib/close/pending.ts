/** What a socket still holds at the moment of its close. */
import type * as net from 'node:net'
import { native } from '../kernel/binding'
import { isConnected } from '../node/accepted'
import { handleOf, transportHandleOf } from '../node/handle'
import { holdsCleartext } from '../node/tls'
import type { ConnectionState } from '../observe/tcp-info'
import { LITTLE, viewOf } from '../kernel/bytes'
import { isTls } from './tls'

/**
 * Bytes that were written to the stream and are not in the kernel: what the stream buffers, and
 * what libuv could not write yet. A write's callback comes only when both are 0.
 */
export function bytesNotInKernel(socket: net.Socket): number {
  const handle = handleOf(socket)
  if (handle === undefined || holdsCleartext(socket)) return socket.writableLength
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
  const syn = isConnected(socket) ? 1 : 0
  return Math.max(pending, socket.bytesWritten - Math.max(0, bytesAcked - syn))
}

/** Bytes that were read from the connection's descriptor, `discarded` more among them; undefined if unknown. */
export function readBytes(socket: net.Socket, discarded: number): number | undefined {
  const read = transportHandleOf(socket)?.bytesRead
  return read === undefined ? undefined : read + discarded
}

/** Whether the peer's kernel has everything that this one was given, the FIN included. */
export function isAcknowledged(fd: number): boolean {
  return native.unacknowledgedBytes(fd) <= 0
}

// Where they stand in SO_MEMINFO (linux/sock_diag.h).
const SK_MEMINFO_SNDBUF = 3
const SK_MEMINFO_WMEM_QUEUED = 5
const memory = new Uint8Array(36)
const memoryWords = viewOf(memory)

/** Whether the kernel would take a few bytes more now; true where it does not tell. */
export function hasSendRoom(fd: number): boolean {
  const { SOL_SOCKET, SO_MEMINFO, IPPROTO_TCP, TCP_NOTSENT_LOWAT } = native.constants
  if (SOL_SOCKET === undefined || SO_MEMINFO === undefined) return true
  if (native.getBytes(fd, SOL_SOCKET, SO_MEMINFO, memory) < memory.length) return true
  const word = (index: number): number => memoryWords.getUint32(4 * index, LITTLE)
  if (word(SK_MEMINFO_WMEM_QUEUED) >= word(SK_MEMINFO_SNDBUF)) return false
  if (IPPROTO_TCP === undefined || TCP_NOTSENT_LOWAT === undefined) return true
  const limit = native.getInt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT)
  return limit <= 0 || native.unsentBytes(fd) < limit
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
