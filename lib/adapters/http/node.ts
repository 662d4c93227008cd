/**
 * The parts of Node's http client that the agents are built on and that its typings leave out. They
 * are the same in Node 20 to 26, where nothing else is said.
 */
import type * as http from 'node:http'
import type * as net from 'node:net'
import type { Duplex } from 'node:stream'
import type { Handle } from '../../node/handle'

export type WriteCallback = (error?: Error | null) => void

/** What a request has written and its socket has not. */
export interface Output {
  readonly data: string | Uint8Array
  readonly encoding: BufferEncoding | null | undefined
  readonly callback: WriteCallback | null | undefined
}

export interface RequestParts {
  readonly method: string
  readonly destroyed: boolean
  /** The response, once its head is there. */
  readonly res: http.IncomingMessage | null
  /** The request's head as it is sent; null before it is known. */
  readonly _header: string | null
  socket: net.Socket | null
  parser: unknown
  reusedSocket: boolean
  outputData: Output[]
  outputSize: number
  /** Set while the request listens to its socket's 'timeout'. */
  timeoutCb: unknown
  /** Its own, ms; undefined where it has none. */
  readonly timeout: number | undefined
  setTimeout(ms: number): unknown
  /** Gives the request its socket, or the error that there is none. */
  onSocket: (this: RequestParts, socket: net.Socket | null, error?: Error) => void
}

export function partsOf(request: http.ClientRequest): RequestParts {
  return request as unknown as RequestParts
}

/** A socket in the hands of the http client: it keeps the request that it works for. */
export interface BusySocket {
  _httpMessage?: object | null
}

export function busy(socket: Duplex): BusySocket {
  return socket as BusySocket
}

/** The handle of a connection, where the agent asks it before the connection is used again. */
export interface LookingHandle extends Handle {
  /** Input, a FIN or a RST is in the kernel. */
  hasPendingRead?: (...args: readonly unknown[]) => boolean
}

/** As typed by Node, which with an error calls it without a stream. */
export type ConnectionCallback = (error: Error | null, stream: Duplex) => void

export interface AgentParts {
  /** In all its forms. */
  createConnection(...args: unknown[]): Duplex | null | undefined
  addRequest(
    request: http.ClientRequest,
    options: http.ClientRequestArgs,
    port?: unknown,
    localAddress?: unknown,
  ): void
  createSocket(
    request: http.ClientRequest,
    options: http.ClientRequestArgs,
    callback: ConnectionCallback,
  ): void
  /** Requests that wait for a connection, by its name. */
  readonly requests: Record<string, http.ClientRequest[] | undefined>
  readonly sockets: Record<string, Duplex[] | undefined>
  /** Idle connections by name. */
  readonly freeSockets: Record<string, Duplex[] | undefined>
  readonly keepAlive: boolean
  /** What is added to each request's options. */
  readonly options: http.AgentOptions
}

export function agentPartsOf(agent: http.Agent): AgentParts {
  return agent as unknown as AgentParts
}
