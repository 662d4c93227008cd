/** The state of a server's HTTP/1 connections, which Node keeps in a private list. */
import type * as http from 'node:http'
import * as net from 'node:net'

/** ConnectionsList of src/node_http_parser.cc: each element is a parser. */
interface ConnectionsList {
  all(): Parser[]
  idle(): Parser[]
}

interface Parser {
  readonly socket?: HttpSocket | null
}

/** The socket of a connection, with the members that Node's http server adds. */
type HttpSocket = net.Socket & {
  /** The response in progress, from the head of its request to its last byte. */
  readonly _httpMessage?: http.ServerResponse | null
  /** The parser of node:_http_common; absent on other sockets. `incoming` is its newest request. */
  readonly parser?: { readonly incoming?: http.IncomingMessage | null } | null
  /** Whether reading has stopped because responses to earlier requests pile up. */
  readonly _paused?: boolean
}

/** The connections without a request in progress. */
export interface QuietConnections {
  /** Connections whose last response is in the kernel. */
  readonly idle: readonly net.Socket[]
  /** Connections that have not received anything yet. */
  readonly unused: readonly net.Socket[]
}

/**
 * The connections of an http or https server without a request in progress. Excludes connections with a partial
 * request or an unwritten response, and upgraded ones.
 *
 * `closeIdleConnections()` is less strict: it destroys a connection whose response still waits in this process for a
 * slow reader.
 *
 * @returns undefined if there is no such list: for a server of another protocol, and in other runtimes
 */
export function quietConnections(server: net.Server): QuietConnections | undefined {
  const list = listOf(server)
  if (list === undefined) return undefined
  return {
    idle: quietOf(list.idle()).filter(({ bytesRead }) => bytesRead > 0),
    // Node counts a connection without a request as active, so that headersTimeout applies to it.
    unused: quietOf(list.all()).filter(({ bytesRead }) => bytesRead === 0),
  }
}

/** The open HTTP/1 connections of a server, without upgraded ones; empty if there is no such list. */
export function httpConnections(server: net.Server): readonly net.Socket[] {
  return socketsOf(listOf(server)?.all() ?? [])
}

/** The responses whose head is not written yet, if each is to the newest request of its connection. */
export function awaitedAnswers(server: net.Server): readonly http.ServerResponse[] {
  return socketsOf(listOf(server)?.all() ?? []).flatMap(({ _httpMessage, parser }) => {
    const answer = _httpMessage ?? undefined
    return answer?.headersSent === false && parser?.incoming === answer.req ? [answer] : []
  })
}

function listOf(server: object): ConnectionsList | undefined {
  const list = privateOf(server, 'http.server.connections') as Partial<ConnectionsList> | undefined
  const isList = typeof list?.all === 'function' && typeof list.idle === 'function'
  return isList ? (list as ConnectionsList) : undefined
}

/** The member of a server whose key is a symbol with this description. */
function privateOf(server: object, name: string): unknown {
  const key = Object.getOwnPropertySymbols(server).find(({ description }) => description === name)
  return key === undefined ? undefined : (server as Record<symbol, unknown>)[key]
}

function socketsOf(parsers: readonly Parser[]): HttpSocket[] {
  return parsers.flatMap(({ socket }) =>
    socket === undefined || socket === null || socket.destroyed ? [] : [socket],
  )
}

function quietOf(parsers: readonly Parser[]): HttpSocket[] {
  return socketsOf(parsers).filter(
    ({ _httpMessage, writableLength }) => (_httpMessage ?? null) === null && writableLength === 0,
  )
}

/**
 * Whether all input of a connection is being read. Below the stream, Node's http server stops reading while the body
 * of a request is not consumed, and while responses to earlier requests pile up.
 */
export function isBeingRead(socket: object): boolean {
  const { parser, readableFlowing, _paused } = socket as Partial<HttpSocket>
  return readableFlowing === true && _paused !== true && parser?.incoming?.complete !== false
}

/** Stops accepting connections and leaves idle ones open, unlike close() of http.Server. */
export function stopListening(server: net.Server, closed: () => void): void {
  net.Server.prototype.close.call(server, closed)
}

/**
 * Stops the timer that checks for late requests, as close() of http.Server does: it would keep the server in memory.
 * To be called when no connection is open.
 */
export function stopChecking(server: net.Server): void {
  const timer = privateOf(server, 'http.server.connectionsCheckingInterval')
  if (timer !== undefined) clearInterval(timer as NodeJS.Timeout)
}
