/** How the demo's client opens a connection, and how it closes one in each mode. */
import { once } from 'node:events'
import * as net from 'node:net'
import { adoptSocket, openSocket } from '../../connect/open'
import { closeSocket, type CloseMode, type CloseReport } from '../../index'
import type { PreparedSettings } from '../../options/tune'

/** Where a server listens. */
export interface Endpoint {
  readonly host: string
  readonly port: number
}

/** `settings` are in force before connect(). */
export function open({ host, port }: Endpoint, settings: PreparedSettings | undefined): net.Socket {
  if (settings === undefined) return net.connect({ port, host })
  return adoptSocket(openSocket(4, settings).fd).connect({ port, host })
}

/** Closes in the mode; `fin` is Node's own destroy(), without this library, so it has no report. */
export async function close(socket: net.Socket, mode: CloseMode): Promise<CloseReport | undefined> {
  if (mode !== 'fin') return closeSocket(socket, { mode })
  const closed = once(socket, 'close')
  socket.destroy()
  await closed
  return undefined
}

export function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unknown'
}

/** Rejects when `promise` is not settled in time. */
export async function within<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`${what} did not come within ${String(ms / 1000)} s`))
    }, ms)
  })
  try {
    return await Promise.race([promise, deadline])
  } finally {
    clearTimeout(timer)
  }
}
