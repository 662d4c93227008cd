/** The messages between the demo's three processes: command <-> client <-> server. */
import type { CloseModeName, PortRange } from '../index'

/** The task of the client. */
export interface DemoPlan {
  /** The /proc/self/ns/net of the command, if the client must run in another namespace. */
  readonly notNamespace: string | null
  /** Connections in each mode; null for the default of the place. */
  readonly connections: number | null
  /** Time limit of each mode, s. */
  readonly seconds: number
}

/** The place in which the demo runs. Null marks facts that are not known there. */
export interface DemoPlace {
  readonly kind: 'namespace' | 'loopback'
  /** The ports that the client may use. */
  readonly ports: PortRange | null
  /** The client uses a small part of the system's range, by IP_LOCAL_PORT_RANGE. */
  readonly narrowed: boolean
  /** net.ipv4.tcp_tw_reuse */
  readonly twReuse: number | null
  /** Connections in each mode. */
  readonly connections: number
}

/** The figures of one close mode. Null marks figures that this platform does not report. */
export interface ModeResult {
  readonly mode: CloseModeName
  readonly connections: number
  readonly seconds: number
  /** Connections per second over the whole run. */
  readonly perSecond: number
  /** Connections per second over the first tenth of the connections. */
  readonly atFirst: number
  /** Connections per second over the last tenth, or over the last 2 s if that is longer. */
  readonly atLast: number
  /** Calls of connect() that found no free port. */
  readonly noPort: number
  /** The client's errors by code. */
  readonly clientErrors: Readonly<Record<string, number>>
  /** Closes that used another mode, and the reason of the first. */
  readonly fallbacks: number
  readonly fallback: string | null
  readonly timeWait: number | null
  readonly portsFree: number | null
  /** The server's errors by code. */
  readonly serverErrors: Readonly<Record<string, number>>
  /** Bytes written to the connections whose server reads late, and bytes that arrived. */
  readonly written: number
  readonly received: number
  readonly lost: number
  /** The bytes that closeSocket() reported as discarded on these connections. */
  readonly reportedDiscarded: number
}

export interface DemoProgress {
  readonly mode: CloseModeName
  readonly made: number
  readonly of: number
  readonly perSecond: number
}

export type FromClient =
  | { readonly type: 'refused'; readonly why: string }
  | { readonly type: 'place'; readonly place: DemoPlace }
  | ({ readonly type: 'progress' } & DemoProgress)
  | { readonly type: 'result'; readonly result: ModeResult }
  | { readonly type: 'failed'; readonly why: string }
  | { readonly type: 'done' }

/** The server's ports for one mode. Each mode has its own, so that each has a full budget of client ports. */
export interface ModePorts {
  /** Answers each request. */
  readonly answer: number
  /** Answers too; for the connections that are made before the measured ones. */
  readonly warmUp: number
  /** Pauses before it reads. */
  readonly slow: number
}

export type ServerPorts = Readonly<Record<CloseModeName, ModePorts>>

/** The server's observations on one of its ports. */
export interface Observed {
  readonly closed: number
  readonly received: number
  /** Errors by code. */
  readonly errors: Readonly<Record<string, number>>
}

/** Requests {@link Observed} once at least this many connections have closed and none is open. */
export interface Settle {
  readonly port: number
  readonly connections: number
}

export type FromServer =
  | { readonly type: 'listening'; readonly ports: ServerPorts }
  | { readonly type: 'settled'; readonly port: number; readonly observed: Observed }

export const REQUEST = Buffer.from('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n')
export const ANSWER = Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: 64\r\n\r\n${'.'.repeat(64)}`)
