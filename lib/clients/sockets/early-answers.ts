/** Early answers: a server answers before it has read the whole request, for example with 413, and closes. */
import type * as net from 'node:net'
import { native } from '../../kernel/binding'
import { interceptFailedWrites } from '../../node/failed-writes'
import { transportFd } from '../../node/handle'

/** The errors of a write after the peer has closed and its RST has arrived. No more input can follow. */
const gone: ReadonlySet<string | undefined> = new Set(['ECONNRESET', 'EPIPE'])

/**
 * Delays the end of a connection whose write failed until everything that the peer sent before has been read. Makes
 * no system call until a write fails.
 *
 * After the failure nothing more is written, and the client's parser gets the input that the kernel still holds. Then
 * the input ends and the socket is destroyed.
 *
 * @param isFailure called before the client is notified of the end of the input. Returns whether the socket is
 *   destroyed with the error of the write. If not, the client gets the end, and the socket is destroyed without error
 */
export function readBeforeFailing(
  socket: net.Socket,
  isFailure: (error: NodeJS.ErrnoException) => boolean,
): void {
  interceptFailedWrites(socket, (error, fail) => {
    if (socket.destroyed || !gone.has(error.code) || !hasUnread(socket)) {
      fail()
      return
    }
    socket.prependOnceListener('end', () => {
      if (isFailure(error)) fail()
    })
    socket.once('end', () => {
      socket.destroy()
    })
    socket.once('close', fail)
  })
}

/**
 * Whether the connection ended by a RST without a FIN before it. An answer that ends with its connection (RFC 9112
 * section 6.3) may then be truncated.
 */
export function isCutOff(error: NodeJS.ErrnoException): boolean {
  return error.code === 'ECONNRESET'
}

/** Whether the peer sent input that the client has not read. */
function hasUnread(socket: net.Socket): boolean {
  if (socket.readableLength > 0) return true
  const fd = transportFd(socket)
  return fd >= 0 && native.unreadBytes(fd) > 0
}
