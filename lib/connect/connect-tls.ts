import type * as net from 'node:net'
import { addAbortSignal, type Duplex } from 'node:stream'
import * as tls from 'node:tls'
import { attachPolicy, policyOf } from '../close/hooks'
import { connectTuned } from './connect'
import type { Tuning } from './tuning'

/**
 * Connects over TLS: the connection below is made as `connect()` makes it, and the close mode is that
 * of the TLS socket, close_notify included.
 *
 * Takes the options of tls.connect() and of net.connect() and leaves the server's name to the caller,
 * as tls.connect() does. Errors of the connection below are emitted by the TLS socket.
 */
export function connectTls(
  options: tls.ConnectionOptions & net.NetConnectOpts,
  tuning: Tuning,
  secureConnectListener?: () => void,
): tls.TLSSocket {
  return connectBelow(options, tuning, (all) => tls.connect(all, secureConnectListener))
}

/**
 * The same with TLS added by the caller.
 *
 * @param add returns a TLS socket over `options.socket`
 */
export function connectBelow<Options extends object, Socket extends net.Socket>(
  options: Options,
  tuning: Tuning,
  add: (options: Options & { socket: net.Socket }) => Socket,
): Socket {
  // The timeout and the signal are the TLS socket's.
  const own = { ...options, timeout: undefined, signal: undefined }
  const carrier = connectTuned(own as unknown as net.NetConnectOpts, tuning)
  const socket = addTls(carrier, options, add)
  const policy = policyOf(carrier)
  if (policy !== undefined) attachPolicy({ ...policy, socket })
  return socket
}

/**
 * Adds TLS to a connection, which is closed when TLS cannot be had.
 *
 * An AbortSignal destroys the TLS socket and through that the connection. If it destroyed the connection
 * first, Node would free the TLS socket's SSL at once, which within 'secureConnect' is still in use and
 * ends the process. And given to tls.connect() when it is aborted already, it would destroy the TLS
 * socket before that has a connection to close.
 */
export function addTls<Options extends object, Socket extends net.Socket, Carrier extends Duplex>(
  carrier: Carrier,
  options: Options,
  add: (options: Options & { socket: Carrier }) => Socket,
): Socket {
  const { signal } = options as { readonly signal?: AbortSignal | null }
  try {
    const socket = add({ ...options, signal: undefined, socket: carrier })
    return signal ? addAbortSignal(signal, socket) : socket
  } catch (error) {
    carrier.on('error', ignore).destroy()
    throw error
  }
}

function ignore(): void {
  // The caller has the error already.
}
