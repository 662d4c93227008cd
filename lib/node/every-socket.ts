/** Hooks into the functions of Node that every connection and every listening server uses. */
import { syncBuiltinESMExports } from 'node:module'
import * as net from 'node:net'
import type * as tls from 'node:tls'

type Method<T, R = T> = (this: T, ...args: unknown[]) => R

/**
 * Calls `before` and `after` around each connect() of a net.Socket: those of net.connect(), http, https, tls, http2,
 * undici and fetch. The diagnostics channel `net.client.socket` reports all of them only in later releases.
 *
 * @param before called with the options object of connect(), if there is one; its result is passed to `after`, which
 *   is not called if the result is undefined
 */
export function followConnects<T>(
  before: (socket: net.Socket, options: AttemptOptions | undefined) => T | undefined,
  after: (socket: net.Socket, known: T) => void,
): void {
  const prototype = net.Socket.prototype as unknown as { connect: Method<net.Socket> }
  const own = prototype.connect
  prototype.connect = function connect(...args) {
    const known = before(this, optionsOf(args))
    const result = own.apply(this, args)
    if (known !== undefined) after(this, known)
    return result
  }
}

/** The options as the program passes them, and therefore of any type. */
export interface AttemptOptions {
  readonly host?: unknown
  readonly port?: unknown
  readonly localAddress?: unknown
  readonly localPort?: unknown
}

/** net.connect() passes an array of its arguments, with the options first. */
function optionsOf([first]: readonly unknown[]): AttemptOptions | undefined {
  const options: unknown = Array.isArray(first) ? first[0] : first
  return typeof options === 'object' && options !== null ? options : undefined
}

/** Calls `after` after each listen() of a server, except those with a descriptor or a handle. */
export function followListens(after: (server: net.Server) => void): void {
  const prototype = net.Server.prototype as unknown as { listen: Method<net.Server> }
  const own = prototype.listen
  prototype.listen = function listen(...args) {
    const result = own.apply(this, args)
    if (!isGiven(args[0])) after(this)
    return result
  }
}

/** Whether net.Server#listen() takes the argument for a descriptor or a handle. */
function isGiven(first: unknown): boolean {
  if (typeof first !== 'object' || first === null) return false
  const { fd, _handle, handle } = first as { fd?: unknown; _handle?: unknown; handle?: unknown }
  return typeof fd === 'number' || Boolean(_handle) || Boolean(handle)
}

/** Calls `after` with each socket of tls.connect(), which does not connect() if it gets an existing socket. */
export function followTlsConnects(after: (socket: tls.TLSSocket) => void): void {
  // The module object itself: an import is a copy of it.
  const exported = process.getBuiltinModule('node:tls') as {
    connect: Method<unknown, tls.TLSSocket>
  }
  const own = exported.connect
  exported.connect = function connect(...args) {
    const socket = own.apply(this, args)
    after(socket)
    return socket
  }
  syncBuiltinESMExports()
}
