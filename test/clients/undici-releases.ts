/** The releases of undici that the connector is for, as far as they run on this Node. */
import type * as net from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Dispatcher } from 'undici8'
import type { TunedConnector } from '../../lib/clients/undici'

/** What the tests use of an undici: of all releases alike. */
export interface Undici {
  Agent: new (options: AgentOptions) => UndiciClient
  Client: new (origin: string, options: ClientOptions) => UndiciClient
  Pool: new (origin: string | URL, options: ClientOptions) => UndiciClient
  ProxyAgent: new (options: ProxyOptions) => UndiciClient
  errors: { ConnectTimeoutError: new () => Error }
  fetch: (url: string, init?: { dispatcher: UndiciClient }) => Promise<UndiciResponse>
  request: (url: string, options: { dispatcher: UndiciClient }) => Promise<Dispatcher.ResponseData>
}

export interface UndiciClient {
  close: () => Promise<void>
  destroy: () => Promise<void>
}

interface UndiciResponse {
  text: () => Promise<string>
}

interface AgentOptions {
  connect: TunedConnector
  allowH2?: boolean
  connections?: number
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
  /** Why it does not run on this Node; undici 8 says so of itself. */
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

/** A suite for each release; one that does not run on this Node is skipped by name. */
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

/** A connector, and what came of its connections. */
export interface Watched {
  connect: TunedConnector
  /** The sockets that it returned. */
  sockets: net.Socket[]
  /** Of those over TLS: whether each resumed a session. */
  resumed: boolean[]
}

export function watched(connector: TunedConnector): Watched {
  const sockets: net.Socket[] = []
  const resumed: boolean[] = []
  const connect: TunedConnector = (parameters, callback) => {
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
