/** A limit on how long a connection may take to be ready. */
import type * as net from 'node:net'

const kUndiciError: unique symbol = Symbol.for('undici.error.UND_ERR')
const kConnectTimeout: unique symbol = Symbol.for('undici.error.UND_ERR_CONNECT_TIMEOUT')

/**
 * What undici's users know its own connect timeout by: name, code, and `instanceof` of undici's
 * `errors.ConnectTimeoutError`, which goes by these symbols.
 */
export class ConnectTimeoutError extends Error {
  override readonly name = 'ConnectTimeoutError'
  readonly code = 'UND_ERR_CONNECT_TIMEOUT'
  readonly [kUndiciError] = true
  readonly [kConnectTimeout] = true
}

/** Destroys the socket when the time is over; returns what calls that off. 0 is no limit. */
export function limitConnect(socket: net.Socket, timeoutMs: number, what: string): () => void {
  if (timeoutMs === 0) return nothing
  let immediate: NodeJS.Immediate | undefined
  const timer = setTimeout(() => {
    // What the network has to say came first, if this tick has been late.
    immediate = setImmediate(() => {
      const reason = `attempted address: ${what}, timeout: ${String(timeoutMs)}ms`
      socket.destroy(new ConnectTimeoutError(`Connect Timeout Error (${reason})`))
    })
  }, timeoutMs)
  return () => {
    clearTimeout(timer)
    clearImmediate(immediate)
  }
}

function nothing(): void {
  // No limit was set.
}
