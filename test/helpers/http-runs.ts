/** HTTP servers in their own network namespace, under load from another process. */
import type { Close, ServerCounters } from '../../lib'
import type { Certificate } from './certificate'
import type { Namespace } from './namespace'
import type { Program } from './program'
import { until } from './until'

export interface HttpServerConfig {
  /** The close mode. By default, the server is not tuned. */
  close?: Close
  certificate?: Certificate
  keepAliveTimeout?: number
  /** How a response is written: by one end(), in chunks, or piped under a Content-Length. */
  answer?: HttpAnswer
}

export type HttpAnswer = 'plain' | 'chunked' | 'streamed'

/** The counts of the server. */
export interface HttpServerSeen {
  connections: number
  requests: number
  closed: number
  errors: Record<string, number>
  /** The codes of its process warnings. */
  warnings: string[]
  counters?: ServerCounters
}

export function serveHttp(
  namespace: Namespace,
  { certificate, ...config }: HttpServerConfig = {},
): Promise<{ server: Program; port: number }> {
  return namespace.serve('http-server', { ...config, tls: certificate })
}

/** Returns the counts of the server once all its connections are closed. */
export function afterAllClosed(server: Program): Promise<HttpServerSeen> {
  return until(
    'the server has closed all connections',
    async () => (await server.ask('seen')) as HttpServerSeen,
    ({ connections, closed }) => closed === connections,
  )
}

/** Makes requests, 32 at a time, each on its own connection, and reads until the server closes it. */
export async function askAndWaitForEnd(
  namespace: Namespace,
  { port, requests, certificate }: { port: number; requests: number; certificate?: Certificate },
): Promise<void> {
  const task = { port, requests, atATime: 32, ca: certificate?.cert }
  const client = await namespace.perform('http-client', task)
  expect(client).toEqual({ answered: requests, ends: requests, errors: {} })
}

/** The command line of wrk with one request on each connection. */
export function wrkCommand(
  url: string,
  { clients, seconds }: { readonly clients: number; readonly seconds: number },
): string[] {
  // wrk counts an answer after 2 s as an error, and on a busy machine some are as late.
  const patient = ['--timeout', '60s']
  const load = ['-t1', `-c${String(clients)}`, `-d${String(seconds)}s`]
  return ['wrk', ...load, ...patient, '-H', 'Connection: close', url]
}
