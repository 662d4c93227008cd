import type * as net from 'node:net'
import { native } from '../kernel/binding'
import { transportFd } from '../node/handle'
import { quietConnections } from '../node/http-connections'

/**
 * The silence after which a kept connection is closed, as a share of the time that the server has: 1 s by
 * default. A client in the middle of its work goes on sooner.
 */
const IDLE_SHARE = 1 / 8
/** The same for a connection without a request yet. Its first one is late only where the client is busy. */
const UNUSED_SHARE = 1 / 2
const LOOK_EVERY_MS = 100

interface Silence {
  readonly bytes: number
  readonly since: number
}

/**
 * Closes the idle HTTP/1 connections of a server until the function that it returns is called.
 *
 * A request may be on its way when its connection is closed (RFC 9112 section 9.3.1). A request that has
 * reached this host is served all the same. A connection in use ends by `Connection: close` before it is
 * idle for long enough.
 *
 * @param timeoutMs after so long the server is cut off
 */
export function closeIdle(server: net.Server, timeoutMs: number): () => void {
  const idleMs = timeoutMs * IDLE_SHARE
  const unusedMs = timeoutMs * UNUSED_SHARE
  const silences = new WeakMap<net.Socket, Silence>()
  const start = performance.now()

  const closeAfter = (ms: number, socket: net.Socket, now: number): void => {
    const bytes = socket.bytesRead + socket.bytesWritten
    const before = silences.get(socket)
    if (before?.bytes !== bytes) silences.set(socket, { bytes, since: now })
    else if (now - before.since >= ms && !hasInput(socket)) socket.destroy()
  }
  const look = (): void => {
    const now = performance.now()
    const quiet = quietConnections(server)
    if (quiet === undefined) {
      if (now - start > idleMs) closeByNode(server)
      return
    }
    for (const socket of quiet.idle) closeAfter(idleMs, socket, now)
    for (const socket of quiet.unused) closeAfter(unusedMs, socket, now)
  }

  look()
  const timer = setInterval(look, LOOK_EVERY_MS)
  return () => {
    clearInterval(timer)
  }
}

/** Whether the kernel has input that nobody has read: a close would answer it by a RST. */
function hasInput(socket: net.Socket): boolean {
  const fd = transportFd(socket)
  return fd >= 0 && native.unreadBytes(fd) > 0
}

function closeByNode(server: net.Server & { closeIdleConnections?: () => void }): void {
  server.closeIdleConnections?.()
}
