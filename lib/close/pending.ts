/** The data that a socket still holds when it is closed. */
import { native } from '../kernel/binding'
import { Struct } from '../kernel/bytes'
import { memoryInfoLayout } from '../kernel/layouts'
import { hasReceivedFin } from '../kernel/tcp-states'
import { isConnected } from '../node/accepted'
import type { StreamLike } from '../node/descriptor-stream'
import { carrierOf, handleOf, transportHandleOf } from '../node/handle'
import { holdsCleartext, isTlsClient } from '../node/tls'
import type { ConnectionState } from '../observe/tcp-info'
import { hasPeerEnded } from './on-end'
import { isTls } from './tls'

/**
 * The bytes that were written to the stream and have not reached the kernel: those that the stream buffers, and those
 * that libuv has not written. The callback of a write is called only when both are 0.
 */
export function bytesNotInKernel(socket: StreamLike): number {
  const handle = handleOf(socket)
  if (handle === undefined || holdsCleartext(socket)) return socket.writableLength
  const dispatched = handle.bytesWritten ?? 0
  return (
    Math.max(0, socket.bytesWritten - dispatched) + (transportHandleOf(socket)?.writeQueueSize ?? 0)
  )
}

/**
 * Counts the bytes that are lost with a connection that may already be gone. Then the data in the kernel is lost too, and
 * libuv has emptied its queue, so everything counts that the peer did not acknowledge.
 */
export function bytesLost(
  socket: StreamLike,
  { state, bytesAcked }: Pick<ConnectionState, 'state' | 'bytesAcked'>,
): number {
  const pending = bytesNotInKernel(socket)
  // On TLS the peer acknowledges encrypted bytes, which the stream does not count.
  if (state !== 'CLOSE' || bytesAcked === undefined || isTls(socket)) return pending
  return Math.max(pending, socket.bytesWritten - Math.max(0, bytesAcked - synOf(socket)))
}

/** The bytes that this process read from a connection and wrote to it; undefined where libuv does not count them. */
export interface Transferred {
  readonly read: number | undefined
  /** Includes writes that failed. */
  readonly written: number | undefined
  /** The bytes that the kernel counts as sent for the SYN. */
  readonly syn: number
}

/** @param discarded bytes that were read past libuv */
export function transferred(socket: StreamLike, discarded: number): Transferred {
  const { bytesRead, bytesWritten } = transportHandleOf(socket) ?? {}
  return {
    read: bytesRead === undefined ? undefined : bytesRead + discarded,
    written: bytesWritten,
    syn: synOf(socket),
  }
}

/** The bytes that the kernel counts for the SYN of a connection: 1 where this side connected. */
function synOf(socket: StreamLike): number {
  const carrier = carrierOf(socket)
  return isConnected(carrier) || (carrier === socket && isTlsClient(socket)) ? 1 : 0
}

/** Whether the peer's kernel has acknowledged everything that was sent, a FIN included. */
export function isAcknowledged(fd: number): boolean {
  return native.unacknowledgedBytes(fd) <= 0
}

const memory = new Struct(new Uint8Array(memoryInfoLayout.size))

/** Whether the kernel would accept a few more bytes now; true if the platform does not report it. */
export function hasSendRoom(fd: number): boolean {
  const { SOL_SOCKET, SO_MEMINFO, IPPROTO_TCP, TCP_NOTSENT_LOWAT } = native.constants
  if (SOL_SOCKET === undefined || SO_MEMINFO === undefined) return true
  const length = native.getBytes(fd, SOL_SOCKET, SO_MEMINFO, memory.bytes)
  if (length < memoryInfoLayout.size) return true
  if (memory.u32(memoryInfoLayout.wmemQueued) >= memory.u32(memoryInfoLayout.sndbuf)) return false
  if (IPPROTO_TCP === undefined || TCP_NOTSENT_LOWAT === undefined) return true
  const limit = native.getInt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT)
  return limit <= 0 || native.unsentBytes(fd) < limit
}

/**
 * Reads and discards the input that the program has not read, and returns its size: close() with unread input sends a
 * RST and drops the send queue (RFC 2525 section 2.17; RFC 9293 section 3.6).
 *
 * Makes no system call if libuv has read as many bytes as the kernel has received. The kernel counts the peer's FIN as
 * one of them. State CLOSE does not show whether a FIN has come, but the stream of a plain socket does.
 */
export function discardUnread(
  fd: number,
  socket: StreamLike,
  { state, bytesReceived }: Pick<ConnectionState, 'state' | 'bytesReceived'>,
): number {
  const read = transportHandleOf(socket)?.bytesRead
  const hasFin = hasReceivedFin(state) ?? (hasPeerEnded(socket) && !isTls(socket))
  const received = bytesReceived === undefined || !hasFin ? bytesReceived : bytesReceived - 1
  if (received !== undefined && read !== undefined && received <= read) return 0
  return Math.max(0, native.discardInput(fd))
}
