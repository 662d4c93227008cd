/** What the HTTP/1 connections of a server are doing. Node keeps them in a private list. */
import * as net from 'node:net'

/** ConnectionsList of src/node_http_parser.cc: each element is a parser. */
interface ConnectionsList {
  all(): Parser[]
  idle(): Parser[]
}

interface Parser {
  readonly socket?: (net.Socket & { readonly _httpMessage?: object | null }) | null
}

/** The connections on which no request is under way now. */
export interface QuietConnections {
  /** They have had a request, and its answer is in the kernel. */
  readonly idle: readonly net.Socket[]
  /** Nothing has come in yet. */
  readonly unused: readonly net.Socket[]
}

/**
 * The connections of an http or https server without a request. A request that has come in part, an
 * answer that is not written to its end, and an upgraded connection are none of them.
 *
 * `closeIdleConnections()` is not as strict: it destroys a connection whose answer waits in this process
 * for a slow reader.
 *
 * @returns undefined where there is no such list: a server of another protocol, or another runtime
 */
export function quietConnections(server: net.Server): QuietConnections | undefined {
  const list = listOf(server)
  if (list === undefined) return undefined
  return {
    idle: socketsOf(list.idle()).filter(({ bytesRead }) => bytesRead > 0),
    // A connection without a request counts as active, so that it runs into headersTimeout.
    unused: socketsOf(list.all()).filter(({ bytesRead }) => bytesRead === 0),
  }
}

function listOf(server: object): ConnectionsList | undefined {
  const key = Object.getOwnPropertySymbols(server).find(
    ({ description }) => description === 'http.server.connections',
  )
  if (key === undefined) return undefined
  const list = (server as Record<symbol, Partial<ConnectionsList> | undefined>)[key]
  const isList = typeof list?.all === 'function' && typeof list.idle === 'function'
  return isList ? (list as ConnectionsList) : undefined
}

function socketsOf(parsers: readonly Parser[]): net.Socket[] {
  return parsers.flatMap(({ socket }) => {
    const isQuiet =
      socket !== undefined &&
      socket !== null &&
      !socket.destroyed &&
      // Set from the head of a request to the last byte of its answer.
      (socket._httpMessage ?? null) === null &&
      socket.writableLength === 0
    return isQuiet ? [socket] : []
  })
}

/** What Node's http server leaves on the socket of a connection. */
interface HttpSocket {
  /** Of node:_http_common; absent on a socket of no http server. */
  readonly parser?: { readonly incoming?: { readonly complete?: boolean } | null } | null
  /** Reading has stopped while the answers to earlier requests pile up. */
  readonly _paused?: boolean
}

/**
 * Whether everything that comes in on a connection is read. Node's http server stops reading below the
 * stream while the body of a request is not consumed, and while the answers to earlier requests pile up.
 */
export function isBeingRead(socket: net.Socket): boolean {
  const { parser, _paused } = socket as HttpSocket
  return socket.readableFlowing === true && _paused !== true && parser?.incoming?.complete !== false
}

/** Accepts no more connections, and leaves open those that are idle, which http.Server's close() would close. */
export function stopListening(server: net.Server, closed: () => void): void {
  net.Server.prototype.close.call(server, closed)
}
