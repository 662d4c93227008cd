/**
 * setKeepAlive() of a TCP handle. Node calls it for `socket.setKeepAlive()`, for the `keepAlive` option of sockets and
 * servers, in http agents and in undici. It overwrites TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT.
 */
import type * as net from 'node:net'

/** Its parameters are (enable, delay) up to Node 22, followed by an interval and a count in later releases. */
type SetKeepAlive = (...args: readonly unknown[]) => number

interface KeepAliveHandle {
  readonly fd?: number
  setKeepAlive?: SetKeepAlive
}

/**
 * Calls `action` with the descriptor after each setKeepAlive() of a handle.
 *
 * @param context passed to `action`, so that all handles can share one function
 * @returns whether the handle has the method; those of servers and unix-domain sockets do not
 */
export function afterSetKeepAlive<T>(
  handle: object,
  context: T,
  action: (fd: number, context: T) => void,
): boolean {
  const parts = handle as KeepAliveHandle
  const { setKeepAlive } = parts
  if (typeof setKeepAlive !== 'function') return false
  parts.setKeepAlive = (...args) => {
    const result = setKeepAlive.call(handle, ...args)
    const { fd = -1 } = parts
    if (fd >= 0) action(fd, context)
    return result
  }
  return true
}

/** Whether a server calls setKeepAlive() for each connection that it accepts. */
export function setsKeepAlive(server: net.Server): boolean {
  return (server as { keepAlive?: boolean }).keepAlive === true
}
