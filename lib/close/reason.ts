/** Chooses the close mode by the reason why a connection is closed. */
import type * as net from 'node:net'
import { transportHandleOf } from '../node/handle'
import type { CloseChoice, CloseMode } from './mode'

const kQuietSince = Symbol('socket-tuner bytes at the time-out')

interface WithTimeout {
  /** Bytes that had been read and written at the last 'timeout'; undefined before the first. */
  [kQuietSince]?: number | undefined
}

/** Records when a socket times out. May be called again for the same socket. */
export function watchTimeout(socket: net.Socket & WithTimeout): void {
  if (Object.hasOwn(socket, kQuietSince)) return
  socket[kQuietSince] = undefined
  // Before the program's own listener, which destroys the socket.
  socket.prependListener('timeout', () => {
    socket[kQuietSince] = bytesMoved(socket)
  })
}

/** Whether the socket has timed out, and has sent and received nothing since. */
function hasTimedOut(socket: net.Socket & WithTimeout): boolean {
  const quietSince = socket[kQuietSince]
  return quietSince !== undefined && quietSince === bytesMoved(socket)
}

/** For a socket that is connected again. */
export function forgetTimeout(socket: net.Socket & WithTimeout): void {
  socket[kQuietSince] = undefined
}

function bytesMoved(socket: net.Socket): number | undefined {
  const { bytesRead, bytesWritten } = transportHandleOf(socket) ?? {}
  return bytesRead === undefined ? undefined : bytesRead + (bytesWritten ?? 0)
}

/**
 * Returns the mode for a close.
 *
 * @param error the error that the socket is destroyed with
 */
export function modeByReason(
  { mode, onTimeout, onError }: CloseChoice,
  socket: net.Socket,
  error: NodeJS.ErrnoException | null,
): CloseMode {
  if (onTimeout !== undefined && (isHttpTimeout(error) || hasTimedOut(socket))) return onTimeout
  return error === null ? mode : (onError ?? mode)
}

/** Whether an http server ends a connection because of its `headersTimeout` or `requestTimeout`. */
function isHttpTimeout(error: NodeJS.ErrnoException | null): boolean {
  return error?.code === 'ERR_HTTP_REQUEST_TIMEOUT'
}
