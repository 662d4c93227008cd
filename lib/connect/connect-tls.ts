import type * as net from 'node:net'
import { addAbortSignal, type Duplex } from 'node:stream'
import type * as tls from 'node:tls'
import { attachPolicy, policyOf } from '../close/hooks'
import { onDemand } from '../node/on-demand'
import { connectTuned } from './connect'
import type { Tuning } from './tuning'

/**
 * Connects over TLS. The TCP connection is opened as by `connect()`; the close mode applies to the TLS socket,
 * including its close_notify.
 *
 * Takes the options of tls.connect() and of net.connect(). Like tls.connect(), it does not derive `servername`.
 * The TLS socket emits the errors of the TCP connection.
 */
export function connectTls(
  options: tls.ConnectionOptions & net.NetConnectOpts,
  tuning: Tuning,
  secureConnectListener?: () => void,
): tls.TLSSocket {
  return connectBelow(options, tuning, (all) => onDemand.tls.connect(all, secureConnectListener))
}

/**
 * As {@link connectTls}, but the caller adds TLS.
 *
 * @param add returns a TLS socket over `options.socket`
 */
export function connectBelow<Options extends object, Socket extends net.Socket>(
  options: Options,
  tuning: Tuning,
  add: (options: Options & { socket: net.Socket }) => Socket,
): Socket {
  // The timeout and the signal belong to the TLS socket.
  const own = { ...options, timeout: undefined, signal: undefined }
  const carrier = connectTuned(own as unknown as net.NetConnectOpts, tuning)
  const socket = addTls(carrier, options, add)
  const policy = policyOf(carrier)
  if (policy !== undefined) attachPolicy(policy.over(socket))
  return socket
}

/**
 * Adds TLS to a connection. Closes the connection if TLS cannot be set up.
 *
 * An AbortSignal destroys the TLS socket, and with it the connection. If it destroyed the connection first,
 * Node would free the SSL object of the TLS socket at once; in 'secureConnect' the SSL object is still in use,
 * and the process would crash. An aborted signal passed to tls.connect() would destroy the TLS socket before it
 * has a connection to close.
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
  // The caller already has the error.
}
