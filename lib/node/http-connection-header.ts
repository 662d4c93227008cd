/**
 * The responses of Node's http servers. Node closes a connection after a response with `Connection: close`, and
 * announces in `Keep-Alive` how long it keeps the connection otherwise.
 */
import type * as http from 'node:http'

type WriteHead = (
  this: http.ServerResponse,
  status: number,
  ...rest: unknown[]
) => http.ServerResponse

const SWITCHING_PROTOCOLS = 101

/**
 * Makes a response, before its head is written, the last one of its connection. A Connection header of the
 * application is replaced: a proxy, for example, copies the one of the server behind it.
 */
export class LastAnswer {
  readonly #response: http.ServerResponse
  #isLast = true

  constructor(response: http.ServerResponse) {
    this.#response = response
    response.shouldKeepAlive = false
    const { writeHead: own } = response as { readonly writeHead: WriteHead }
    const isLast = (): boolean => this.#isLast
    // Node also calls writeHead() itself if the application only writes a body.
    const writeHead: WriteHead = function writeHead(status, ...rest) {
      if (!isLast() || this.headersSent || status === SWITCHING_PROTOCOLS)
        return own.call(this, status, ...rest)
      const at = rest.findIndex((part) => typeof part === 'object' && part !== null)
      if (at < 0) this.setHeader('Connection', 'close')
      else rest[at] = withClose(rest[at] as object)
      return own.call(this, status, ...rest)
    }
    response.writeHead = writeHead
  }

  /** Lets the connection go on after the response. @returns false if its head is already written */
  takeBack(): boolean {
    if (this.#response.headersSent) return false
    this.#isLast = false
    this.#response.shouldKeepAlive = true
    return true
  }
}

/** A copy of the headers, in the form in which they were passed to writeHead(), with `Connection: close` alone. */
function withClose(headers: object): object {
  if (!Array.isArray(headers)) {
    const others = Object.entries(headers).filter(([name]) => !isConnection(name))
    return { ...Object.fromEntries(others), Connection: 'close' }
  }
  const list: readonly unknown[] = headers
  if (Array.isArray(list[0])) {
    const pairs = list as readonly (readonly unknown[])[]
    return [...pairs.filter(([name]) => !isConnection(name)), ['Connection', 'close']]
  }
  const others = list.filter((_, at) => !isConnection(list[at - (at % 2)]))
  return [...others, 'Connection', 'close']
}

function isConnection(name: unknown): boolean {
  return String(name).toLowerCase() === 'connection'
}

/**
 * Changes the time that a response announces in Keep-Alive, which Node rounds to whole seconds. Node itself still
 * keeps an idle connection for the server's `keepAliveTimeout`.
 */
export function announceKeepAlive(response: http.ServerResponse, ms: number): void {
  ;(response as { _keepAliveTimeout?: number })._keepAliveTimeout = ms
}
