import type * as net from 'node:net'
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
  const carrier = connectTuned({ ...options, timeout: undefined }, tuning)
  // The signal is the carrier's, whose error the TLS socket emits; with both it would be there twice.
  const all: tls.ConnectionOptions & { signal: undefined } = {
    ...options,
    socket: carrier,
    signal: undefined,
  }
  const socket = over(carrier, () => tls.connect(all, secureConnectListener))
  const policy = policyOf(carrier)
  if (policy !== undefined) attachPolicy({ ...policy, socket })
  return socket
}

/** Bad TLS options are thrown by tls.connect(): then nobody else would end the connection below. */
function over(carrier: net.Socket, connect: () => tls.TLSSocket): tls.TLSSocket {
  try {
    return connect()
  } catch (error) {
    carrier.on('error', ignore).destroy()
    throw error
  }
}

function ignore(): void {
  // The caller has the error already.
}
