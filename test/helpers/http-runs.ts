/** HTTP servers in a namespace of their own, under load from another process there. */
import type { Close, ServerCounters } from '../../lib'
import type { Certificate } from './certificate'
import type { Namespace } from './namespace'
import type { Program } from './program'
import { until } from './until'

export interface HttpServerConfig {
  /** undefined leaves the server as Node makes it. */
  close?: Close
  certificate?: Certificate
  keepAliveTimeout?: number
}

/** What the server saw. */
export interface HttpServerSeen {
  connections: number
  requests: number
  closed: number
  errors: Record<string, number>
  /** Codes of its process warnings. */
  warnings: string[]
  counters?: ServerCounters
}

export function serveHttp(
  namespace: Namespace,
  { certificate, ...config }: HttpServerConfig = {},
): Promise<{ server: Program; port: number }> {
  return namespace.serve('http-server', { ...config, tls: certificate })
}

/** What the server saw, once all its connections are closed. */
export function afterAllClosed(server: Program): Promise<HttpServerSeen> {
  return until(
    'the server has closed all connections',
    async () => (await server.ask('seen')) as HttpServerSeen,
    ({ connections, closed }) => closed === connections,
  )
}

/** Makes requests, 32 at a time, on a connection each, and reads until the server closes it. */
export async function askAndWaitForEnd(
  namespace: Namespace,
  { port, requests, certificate }: { port: number; requests: number; certificate?: Certificate },
): Promise<void> {
  const task = { port, requests, atATime: 32, ca: certificate?.cert }
  const client = await namespace.perform('http-client', task)
  expect(client).toEqual({ answered: requests, ends: requests, errors: {} })
}
