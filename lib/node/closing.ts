/**
 * How Node closes a socket. The stream calls `_final` when end() has written everything; `_final` sends the FIN by
 * shutdown(). The stream calls `_destroy` once for every kind of close; `_destroy` closes the descriptor. http
 * servers and agents close by `destroySoon`.
 *
 * Each function here that replaces a method returns the original, which the replacement must call.
 */
import { executionAsyncResource } from 'node:async_hooks'
import * as net from 'node:net'
import { carrierOf, handleOf, transportHandleOf } from './handle'

export type Destroy = (
  this: net.Socket,
  error: Error | null,
  callback: (error: Error | null) => void,
) => void

export type Final = (this: net.Socket, callback: (error?: Error | null) => void) => void

export type DestroySoon = (this: net.Socket) => void

/** The methods that the stream calls, and the flag that resetAndDestroy() sets for `_destroy`. */
interface Closing {
  _destroy: Destroy
  /** May be missing on a stream that is not a net.Socket. */
  _final?: Final | undefined
  destroySoon: DestroySoon
  resetAndClosing?: boolean
}

function closingOf(socket: net.Socket): Closing {
  return socket as unknown as Closing
}

/** Replaces `_destroy`, which is called right before the descriptor is closed. */
export function replaceDestroy(socket: net.Socket, destroy: Destroy): Destroy {
  const parts = closingOf(socket)
  const own = parts._destroy
  parts._destroy = destroy
  return own
}

/** Replaces `_final`, which is called when writing ends. Node calls it again once a connecting socket has connected. */
export function replaceFinal(socket: net.Socket, final: Final): Final {
  const parts = closingOf(socket)
  const own = parts._final ?? endAtOnce
  parts._final = final
  return own
}

function endAtOnce(this: net.Socket, callback: (error?: Error | null) => void): void {
  callback()
}

/**
 * Calls `final` in place of the `_final` of each TLS socket over another socket (tls.connect({ socket })). Such a TLS
 * socket sends the FIN through the handle below, and calls no method of the socket that owns it.
 *
 * @param final gets the socket below, and Node's own `_final`
 */
export function followTlsFinals(
  final: (
    socket: net.Socket,
    carrier: net.Socket,
    own: Final,
    callback: (error?: Error | null) => void,
  ) => void,
): void {
  const parts = closingOf(net.Socket.prototype) as { _final: Final }
  const own = parts._final
  parts._final = function _final(callback) {
    const carrier = carrierOf(this)
    if (carrier === this) own.call(this, callback)
    else final(this, carrier, own, callback)
  }
}

export function replaceDestroySoon(socket: net.Socket, destroySoon: DestroySoon): DestroySoon {
  const parts = closingOf(socket)
  const own = parts.destroySoon
  parts.destroySoon = destroySoon
  return own
}

/**
 * Ends a stream's reading as if the peer had ended: a reader gets the data received so far, then 'end'. The
 * handle stops reading first, since Node would treat data that arrives later as an error.
 */
export function pushEnd(socket: net.Socket): void {
  const handle = handleOf(socket) as { readStop?: () => number } | undefined
  if (typeof handle?.readStop !== 'function') return
  handle.readStop()
  socket.push(null)
}

/** Whether resetAndDestroy() is closing the socket. Only for use in `_destroy`. */
export function isResetting(socket: net.Socket): boolean {
  return closingOf(socket).resetAndClosing === true
}

/** Makes Node close such a socket by close(), without a reset of its own. */
export function closeWithoutReset(socket: net.Socket): void {
  closingOf(socket).resetAndClosing = false
}

/**
 * Delays the destruction of a TLS socket while the connection below is destroyed but has not emitted 'close'. Node
 * would free the SSL at once, although OpenSSL still uses it during 'secureConnect' and the other events of the
 * handshake: the process would end with SIGSEGV. After 'close' it would be too late: by then Node has deleted the
 * stream that the SSL writes to.
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
  // Runs before Node's own listener, which destroys the TLS socket.
  carrier.prependOnceListener('close', () => {
    isClosed = true
    destroyLater?.()
  })
}

/**
 * Whether a callback of the handle below TLS is running. If that handle is destroyed, the callback is the one that
 * emits 'close', and listeners that are added now are not called any more. Callbacks from OpenSSL belong to the TLS
 * handle.
 */
function isInCallbackOfTransport(socket: net.Socket): boolean {
  const handle = transportHandleOf(socket)
  return handle !== undefined && executionAsyncResource() === handle
}
