/** What the demo's three processes tell each other: command <-> client <-> server. */
import type { CloseModeName, PortRange } from '../../index'

/** What the command asks of the client. */
export interface Plan {
  /** The /proc/self/ns/net of the command, when the client must be in another one. */
  readonly notNamespace: string | null
  /** Connections in each mode; null for what suits the place. */
  readonly connections: number | null
  /** Time limit of each mode, s. */
  readonly seconds: number
}

/** Where the demo runs. What is null cannot be known there. */
export interface Place {
  readonly kind: 'namespace' | 'loopback'
  /** The ports that the client may use. */
  readonly ports: PortRange | null
  /** They were narrowed with IP_LOCAL_PORT_RANGE. */
  readonly narrowed: boolean
  /** net.ipv4.tcp_tw_reuse */
  readonly twReuse: number | null
  readonly connections: number
}

/** What one close mode came to. What is null cannot be known on this platform. */
export interface Row {
  readonly mode: CloseModeName
  readonly connections: number
  readonly seconds: number
  /** Connections per second in all. */
  readonly perSecond: number
  /** The same over the first tenth of the connections. */
  readonly atFirst: number
  /** And over the last tenth, or the last 2 s when that is more. */
  readonly atLast: number
  /** Times that connect() found no port free. */
  readonly noPort: number
  readonly clientErrors: Readonly<Record<string, number>>
  /** Closes in another mode, with the reason of the first. */
  readonly fallbacks: number
  readonly fallback: string | null
  readonly timeWait: number | null
  readonly portsFree: number | null
  readonly serverErrors: Readonly<Record<string, number>>
  /** Bytes to and from the connections with a slow reader. */
  readonly written: number
  readonly received: number
  readonly lost: number
  /** Of the lost bytes, those that closeSocket's reports tell of. */
  readonly reportedDiscarded: number
}

export interface ProgressReport {
  readonly mode: CloseModeName
  readonly made: number
  readonly of: number
  readonly perSecond: number
}

export type FromClient =
  | { readonly type: 'refused'; readonly why: string }
  | { readonly type: 'place'; readonly place: Place }
  | ({ readonly type: 'progress' } & ProgressReport)
  | { readonly type: 'row'; readonly row: Row }
  | { readonly type: 'failed'; readonly why: string }
  | { readonly type: 'done' }

/** Each mode has ports of its own, so that its budget of client ports is its own. */
export interface ModePorts {
  /** Answers each request. */
  readonly answer: number
  /** Answers too, while the two programs are being compiled. */
  readonly warmUp: number
  /** Pauses before it reads. */
  readonly slow: number
}

export type ServerPorts = Readonly<Record<CloseModeName, ModePorts>>

/** What the server saw of one port's connections. */
export interface Seen {
  readonly closed: number
  readonly received: number
  /** Errors by code. */
  readonly errors: Readonly<Record<string, number>>
}

/** Asks for {@link Seen} as soon as so many connections, and all that are open, have closed. */
export interface Settle {
  readonly port: number
  readonly connections: number
}

export type FromServer =
  | { readonly type: 'listening'; readonly ports: ServerPorts }
  | { readonly type: 'settled'; readonly port: number; readonly seen: Seen }

export const REQUEST = Buffer.from('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n')
export const ANSWER = Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: 64\r\n\r\n${'.'.repeat(64)}`)
