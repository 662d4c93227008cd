/**
 * The last write of an HTTP/1 response after which Node closes the connection. A ServerResponse has the flag `_last` once
 * its header is complete, and Node calls destroySoon() when the response is written.
 */
import type * as net from 'node:net'

type WriteMethod = (this: ResponseParts, ...args: unknown[]) => unknown

/** The members of an http.ServerResponse that are used here. */
interface ResponseParts {
  readonly socket: net.Socket | null
  readonly shouldKeepAlive: boolean
  readonly headersSent: boolean
  /** Whether the connection closes after the response; final once the header is complete. */
  readonly _last: boolean
  /** The Content-Length once the header is complete; null without one. */
  readonly _contentLength?: number | null
  getHeader(name: string): unknown
  end: WriteMethod
  write: WriteMethod
  /** Bytes of the body written so far. */
  [kWritten]?: number
}

const kWritten = Symbol('socket-tuner body bytes')

/** Called with true before the last write, and with false after a write that was not the last one. */
export type HoldWrite = (socket: net.Socket, holds: boolean) => void

/**
 * Calls `hold` before the last write of each response after which the connection closes.
 *
 * @returns a function that stops it
 */
export function beforeLastWrites(server: net.Server, hold: HoldWrite): () => void {
  const methods = holdingMethods(hold)
  const listener = (_: unknown, response: Partial<ResponseParts>): void => {
    // Responses of HTTP/2 have neither member, and share their connection.
    if (typeof response.shouldKeepAlive !== 'boolean' || response._last === undefined) return
    // Own methods were set by other code and may be closures: they must be called.
    if (Object.hasOwn(response, 'end') || Object.hasOwn(response, 'write')) return
    Object.assign(response, methods)
  }
  server.prependListener('request', listener)
  return () => {
    server.off('request', listener)
  }
}

/** Returns the same two functions for every response, so that all responses have one shape in V8. */
function holdingMethods(hold: HoldWrite): Pick<ResponseParts, 'end' | 'write'> {
  const held = (
    response: ResponseParts,
    method: WriteMethod,
    args: readonly unknown[],
  ): unknown => {
    const { socket } = response
    if (socket === null) return method.apply(response, [...args])
    hold(socket, true)
    try {
      return method.apply(response, [...args])
    } finally {
      if (!response._last) hold(socket, false)
    }
  }
  return {
    end(...args) {
      const { end } = Object.getPrototypeOf(this) as ResponseParts
      return isLast(this) ? held(this, end, args) : end.apply(this, args)
    },
    write(...args) {
      const { write } = Object.getPrototypeOf(this) as ResponseParts
      return completes(this, args) ? held(this, write, args) : write.apply(this, args)
    },
  }
}

/** Whether Node will close the connection after the response, as far as this is known. */
function isLast(response: ResponseParts): boolean {
  if (response.headersSent) return response._last
  if (!response.shouldKeepAlive) return true
  const connection = response.getHeader('connection')
  return typeof connection === 'string' && connection.toLowerCase() === 'close'
}

/** Whether a write completes a body of known length, whose end the peer recognizes. */
function completes(response: ResponseParts, [chunk, encoding]: readonly unknown[]): boolean {
  if (!isLast(response)) return false
  const written = (response[kWritten] ?? 0) + sizeOf(chunk, encoding)
  response[kWritten] = written
  return written >= lengthOf(response)
}

function lengthOf(response: ResponseParts): number {
  const length = response.headersSent
    ? response._contentLength
    : response.getHeader('content-length')
  return length === null || length === undefined ? Infinity : Number(length)
}

/** The size of a chunk; 0 for a value that write() refuses. */
function sizeOf(chunk: unknown, encoding: unknown): number {
  if (typeof chunk === 'string')
    return Buffer.byteLength(
      chunk,
      typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8',
    )
  return ArrayBuffer.isView(chunk) ? chunk.byteLength : 0
}
