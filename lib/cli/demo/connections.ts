/** How the demo's client opens a connection. */
import * as net from 'node:net'
import { adoptSocket, openSocket } from '../../connect/open'
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
