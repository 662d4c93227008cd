/** A limit on how long a connection may take to be ready. */
import type * as net from 'node:net'

const kUndiciError: unique symbol = Symbol.for('undici.error.UND_ERR')
const kConnectTimeout: unique symbol = Symbol.for('undici.error.UND_ERR_CONNECT_TIMEOUT')

/**
 * Has the name and code of undici's own connect timeout. `instanceof` undici's `errors.ConnectTimeoutError` holds too,
 * since it checks these symbols.
 */
export class ConnectTimeoutError extends Error {
  override readonly name = 'ConnectTimeoutError'
  readonly code = 'UND_ERR_CONNECT_TIMEOUT'
  readonly [kUndiciError] = true
  readonly [kConnectTimeout] = true
}

/** Destroys the socket after a time, ms; 0 is no limit. Returns a function that cancels this. */
export function limitConnect(socket: net.Socket, timeoutMs: number, what: string): () => void {
  if (timeoutMs === 0) return nothing
  let immediate: NodeJS.Immediate | undefined
  const timer = setTimeout(() => {
    // Handles events of the network first, in case this timer is late.
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
