/**
 * setKeepAlive() of a TCP handle, through which Node rewrites TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT:
 * for `socket.setKeepAlive()`, the `keepAlive` option of sockets and servers, http agents and undici.
 */
import type * as net from 'node:net'

/** Takes (enable, delay) up to Node 22, and an interval and a count after them in later releases. */
type SetKeepAlive = (...args: readonly unknown[]) => number

interface KeepAliveHandle {
  readonly fd?: number
  setKeepAlive?: SetKeepAlive
}

/**
 * Has `action` called after each setKeepAlive() of a handle, with the handle's descriptor.
 *
 * @param context given to `action`, so that all handles share one
 * @returns whether the handle has that method: a server's has none, and a unix-domain socket's neither
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
