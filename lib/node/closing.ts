/**
 * How Node closes a socket. Its stream calls `_final` when end() has written everything, and that sends
 * the FIN by shutdown(). It calls `_destroy` once, however the socket comes to be closed, and that closes
 * the descriptor. http servers and agents close by `destroySoon`.
 *
 * Each function here that replaces a method returns the one that was there before, to be called in it.
 */
import { executionAsyncResource } from 'node:async_hooks'
import type * as net from 'node:net'
import { transportHandleOf } from './handle'

export type Destroy = (
  this: net.Socket,
  error: Error | null,
  callback: (error: Error | null) => void,
) => void

export type Final = (this: net.Socket, callback: (error?: Error | null) => void) => void

export type DestroySoon = (this: net.Socket) => void

/** The methods as the stream calls them, and what resetAndDestroy() leaves for `_destroy`. */
interface Closing {
  _destroy: Destroy
  /** A stream that is no net.Socket may have none. */
  _final?: Final | undefined
  destroySoon: DestroySoon
  resetAndClosing?: boolean
}

function closingOf(socket: net.Socket): Closing {
  return socket as unknown as Closing
}

/** Has `destroy` called right before the descriptor is closed. */
export function replaceDestroy(socket: net.Socket, destroy: Destroy): Destroy {
  const parts = closingOf(socket)
  const own = parts._destroy
  parts._destroy = destroy
  return own
}

/** Has `final` called when the stream's writing ends. Node calls it again when the socket has connected. */
export function replaceFinal(socket: net.Socket, final: Final): Final {
  const parts = closingOf(socket)
  const own = parts._final ?? endAtOnce
  parts._final = final
  return own
}

function endAtOnce(this: net.Socket, callback: (error?: Error | null) => void): void {
  callback()
}

export function replaceDestroySoon(socket: net.Socket, destroySoon: DestroySoon): DestroySoon {
  const parts = closingOf(socket)
  const own = parts.destroySoon
  parts.destroySoon = destroySoon
  return own
}

/** Whether resetAndDestroy() is closing the socket: to be asked in `_destroy`. */
export function isResetting(socket: net.Socket): boolean {
  return closingOf(socket).resetAndClosing === true
}

/** Lets Node close such a socket by close() alone. */
export function closeWithoutReset(socket: net.Socket): void {
  closingOf(socket).resetAndClosing = false
}

/**
 * Keeps a TLS socket from being destroyed between the moment when the connection below is destroyed and its
 * 'close'. Node would free the SSL at once, and in 'secureConnect' and the other events of the handshake
 * OpenSSL is still using it: the process would end by SIGSEGV. Later than that 'close' would be too late:
 * Node has deleted what the SSL writes to by then.
 */
export function destroyAfterCarrier(socket: net.Socket, carrier: net.Socket): void {
  let isClosed = carrier.destroyed && isInCallbackOfTransport(socket)
  let destroyLater: (() => void) | undefined
  const own = replaceDestroy(socket, (error, callback) => {
    if (isClosed || !carrier.destroyed) {
      own.call(socket, error, callback)
      return
    }
    destroyLater = () => {
      own.call(socket, error, callback)
    }
  })
  // Before Node's own listener, which destroys the TLS socket.
  carrier.prependOnceListener('close', () => {
    isClosed = true
    destroyLater?.()
  })
}

/**
 * Whether a callback of the handle below TLS is running. Once that is destroyed, it is the one that emits
 * 'close', whose listeners are settled by then: one that is added is not called. Callbacks out of OpenSSL are
 * those of the TLS handle.
 */
function isInCallbackOfTransport(socket: net.Socket): boolean {
  const handle = transportHandleOf(socket)
  return handle !== undefined && executionAsyncResource() === handle
}
