/** The functions of Node that every connection and every listening server comes through. */
import { syncBuiltinESMExports } from 'node:module'
import * as net from 'node:net'
import type * as tls from 'node:tls'

type Method<T, R = T> = (this: T, ...args: unknown[]) => R

/**
 * Has each connect() of a net.Socket followed: by net.connect(), http, https, tls, http2, undici and with
 * it fetch. The diagnostics channel `net.client.socket` tells of all of them in later releases only.
 *
 * @param before what it returns is given to `after`, unless it is undefined
 */
export function followConnects<T>(
  before: (socket: net.Socket) => T | undefined,
  after: (socket: net.Socket, known: T) => void,
): void {
  const prototype = net.Socket.prototype as unknown as { connect: Method<net.Socket> }
  const own = prototype.connect
  prototype.connect = function connect(...args) {
    const known = before(this)
    const result = own.apply(this, args)
    if (known !== undefined) after(this, known)
    return result
  }
}

/** Has `after` called with each server that has been told to listen, on anything but a descriptor or handle of its maker's. */
export function followListens(after: (server: net.Server) => void): void {
  const prototype = net.Server.prototype as unknown as { listen: Method<net.Server> }
  const own = prototype.listen
  prototype.listen = function listen(...args) {
    const result = own.apply(this, args)
    if (!isGiven(args[0])) after(this)
    return result
  }
}

/** As net.Server#listen() tells it. */
function isGiven(first: unknown): boolean {
  if (typeof first !== 'object' || first === null) return false
  const { fd, _handle, handle } = first as { fd?: unknown; _handle?: unknown; handle?: unknown }
  return typeof fd === 'number' || Boolean(_handle) || Boolean(handle)
}

/** Has `after` called with each socket of tls.connect(): with a socket given to it, it connects none. */
export function followTlsConnects(after: (socket: tls.TLSSocket) => void): void {
  // The module itself, of which an import gives a copy.
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
