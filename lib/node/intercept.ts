/** Replaces the methods by which a program, Node's http client and undici write to a socket and destroy it. */
import type * as net from 'node:net'

export type WriteCallback = (error?: Error | null) => void

/** The arguments of a write. */
export interface Write {
  readonly data: string | Uint8Array
  readonly encoding: BufferEncoding | null | undefined
  readonly callback: WriteCallback | null | undefined
}

/** The methods of a net.Socket as the http client calls them. */
interface SocketMethods {
  write: (
    data: string | Uint8Array,
    encoding?: BufferEncoding | null | WriteCallback,
    callback?: WriteCallback | null,
  ) => boolean
  destroy: (error?: Error) => net.Socket
}

/**
 * Calls `callbackFor` for each write to a socket.
 *
 * @param callbackFor returns the callback for the write
 */
export function interceptWrites(
  socket: net.Socket,
  callbackFor: (
    data: Write['data'],
    encoding: Write['encoding'],
    callback: Write['callback'],
  ) => Write['callback'],
): void {
  const methods = socket as SocketMethods
  const { write } = methods
  methods.write = (data, encoding, callback) => {
    // The http client never calls it this way.
    if (typeof encoding === 'function') return write.call(socket, data, encoding, callback)
    return write.call(socket, data, encoding, callbackFor(data, encoding, callback))
  }
}

const kIntercepted: unique symbol = Symbol('socket-tuner destroy')

/** The method that destroy() replaced, and the functions that choose its error, the latest first. */
interface Interception {
  readonly destroy: SocketMethods['destroy']
  readonly errorsFor: ((error: Error | undefined) => Error | undefined)[]
}

interface Intercepted extends SocketMethods {
  [kIntercepted]?: Interception
}

/**
 * Calls `errorFor` at the start of each destroy() of a socket.
 *
 * @param errorFor returns the error that the socket is destroyed with
 */
export function interceptDestroy(
  socket: net.Socket,
  errorFor: (error: Error | undefined) => Error | undefined,
): void {
  const methods = socket as Intercepted
  const standing = methods[kIntercepted]
  if (standing !== undefined) {
    standing.errorsFor.unshift(errorFor)
    return
  }
  methods[kIntercepted] = { destroy: methods.destroy, errorsFor: [errorFor] }
  // The same function for all sockets: a closure of each would slow a busy client down.
  methods.destroy = destroyIntercepted
}

function destroyIntercepted(this: net.Socket, error?: Error): net.Socket {
  const { destroy, errorsFor } = (this as unknown as Record<typeof kIntercepted, Interception>)[
    kIntercepted
  ]
  let reason = error
  for (const errorFor of errorsFor) reason = errorFor(reason)
  return destroy.call(this, reason)
}
