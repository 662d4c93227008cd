/** The supported releases of undici that run on this release of Node. */
import type * as net from 'node:net'
import type { Readable } from 'node:stream'
import { TLSSocket } from 'node:tls'
import type { Dispatcher } from 'undici8'
import type { ConnectFunction } from '../../lib/clients/undici'

/** The part of undici that the tests use. It is the same in all releases. */
export interface Undici {
  Agent: new (options: AgentOptions) => UndiciClient
  Client: new (origin: string, options: ClientOptions) => UndiciClient
  Pool: new (origin: string | URL, options: ClientOptions) => UndiciClient
  ProxyAgent: new (options: ProxyOptions) => UndiciClient
  errors: { ConnectTimeoutError: new () => Error }
  fetch: (url: string, init?: FetchOptions) => Promise<UndiciResponse>
  request: (url: string, options: RequestOptions) => Promise<Dispatcher.ResponseData>
}

export interface UndiciClient {
  close: () => Promise<void>
  destroy: () => Promise<void>
}

export interface RequestOptions {
  dispatcher: UndiciClient
  method?: Dispatcher.HttpMethod
  body?: string | Uint8Array | Readable | null
  headers?: Record<string, string>
  signal?: AbortSignal
}

export interface FetchOptions {
  dispatcher: UndiciClient
  method?: string
  body?: string
  signal?: AbortSignal
}

interface UndiciResponse {
  status: number
  text: () => Promise<string>
}

interface AgentOptions {
  connect: ConnectFunction
  allowH2?: boolean
  connections?: number
  pipelining?: number
  keepAliveTimeout?: number
}

export interface ClientOptions extends AgentOptions {
  localAddress?: string
  socketPath?: string
}

interface ProxyOptions {
  uri: string
  requestTls: { ca: string }
  clientFactory: (origin: URL, options: object) => UndiciClient
}

export type Version = 6 | 7 | 8

export interface Release {
  version: Version
  /** Why it does not run on this release of Node. */
  lacking?: string
}

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const runs8 = major > 22 || (major === 22 && minor >= 19)

export const releases: readonly Release[] = [
  { version: 6 },
  { version: 7 },
  runs8
    ? { version: 8 }
    : { version: 8, lacking: `needs Node 22.19, this is ${process.versions.node}` },
]

/** Runs the suite for each release. A release that does not run on this release of Node is skipped by name. */
export function describeReleases(
  what: string,
  suite: (load: () => Promise<Undici>, version: Version) => void,
): void {
  for (const { version, lacking } of releases) {
    const name = `${what} of undici ${String(version)}`
    const each = (): void => {
      suite(() => loadRelease(version), version)
    }
    if (lacking === undefined) describe(name, each)
    else describe.skip(`${name} (skipped: ${lacking})`, each)
  }
}

async function loadRelease(version: Version): Promise<Undici> {
  const loaded: unknown =
    version === 6
      ? await import('undici6')
      : version === 7
        ? await import('undici7')
        : await import('undici8')
  return loaded as Undici
}

/** A connector and its connections. */
export interface Watched {
  connect: ConnectFunction
  /** The sockets that it returned. */
  sockets: net.Socket[]
  /** For each connection over TLS, whether it resumed a session. */
  resumed: boolean[]
}

export function watched(connector: ConnectFunction): Watched {
  const sockets: net.Socket[] = []
  const resumed: boolean[] = []
  const connect: ConnectFunction = (parameters, callback) => {
    const socket = connector(parameters, (...result) => {
      const [, connected] = result
      if (connected instanceof TLSSocket) resumed.push(connected.isSessionReused())
      callback(...result)
    })
    if (socket !== undefined) sockets.push(socket)
    return socket
  }
  return { connect, sockets, resumed }
}
