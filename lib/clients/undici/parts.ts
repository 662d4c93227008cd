/**
 * The parts of undici that are not documented in full: the messages on its diagnostics channels, and its reaction to a
 * destroyed socket. They are the same in releases 6, 7 and 8; a contract test checks each (test/clients/undici-parts.test.ts).
 */
import { subscribe } from 'node:diagnostics_channel'

/** A request of undici. It stays the same object if it is written a second time. */
export interface UndiciRequest {
  readonly method: string
  /** The answer is complete. */
  readonly completed: boolean
  /** The request has failed. */
  readonly aborted: boolean
  /** null, bytes, or a source that is read while it is sent. */
  readonly body: unknown
}

/** The events of all requests, of any client. */
export interface RequestEvents {
  /** A request is about to be written. @param head its head */
  written: (request: UndiciRequest, head: string, socket: object) => void
  /** The head of an answer has arrived. @param fields names and values, alternating */
  answered: (request: UndiciRequest, fields: readonly Uint8Array[]) => void
  /** A request has failed. */
  failed: (request: UndiciRequest) => void
}

/** Subscribes to the events of all requests of this thread, permanently. */
export function followRequests({ written, answered, failed }: RequestEvents): void {
  subscribe('undici:client:sendHeaders', (message) => {
    const { request, headers, socket } = message as Written
    written(request, headers, socket)
  })
  subscribe('undici:request:headers', (message) => {
    const { request, response } = message as Answered
    // Over HTTP/2 they are an object.
    if (Array.isArray(response.headers)) answered(request, response.headers as Uint8Array[])
  })
  subscribe('undici:request:error', (message) => {
    failed((message as Failed).request)
  })
}

interface Written {
  readonly request: UndiciRequest
  readonly headers: string
  readonly socket: object
}

interface Answered {
  readonly request: UndiciRequest
  readonly response: { readonly headers: unknown }
}

interface Failed {
  readonly request: UndiciRequest
}

/** The size of a request's body, bytes; undefined if undici reads it while it is sent, and so only once. */
export function bodyBytes({ body }: UndiciRequest): number | undefined {
  if (body === null) return 0
  return body instanceof Uint8Array ? body.byteLength : undefined
}

/** "keep-alive" in ASCII. */
const KEEP_ALIVE = new Uint8Array(Buffer.from('keep-alive'))
/** The bit that makes an ASCII letter lower case. */
const SMALL = 0x20

/**
 * The value of the Keep-Alive field of an answer, in memory that undici owns. Compares the names as bytes: converting
 * them to strings would cost 3 % of the requests per second.
 */
export function keepAliveOf(fields: readonly Uint8Array[]): Uint8Array | undefined {
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const name = fields[at]
    if (name?.length !== KEEP_ALIVE.length) continue
    let same = 0
    while (same < name.length && ((name[same] ?? 0) | SMALL) === KEEP_ALIVE[same]) same++
    if (same === name.length) return fields[at + 1]
  }
  return undefined
}

const kUndiciError: unique symbol = Symbol.for('undici.error.UND_ERR')
const kInformational: unique symbol = Symbol.for('undici.error.UND_ERR_INFO')

/**
 * The error with which undici itself destroys a socket if no request must fail. undici writes the requests that have
 * no answer, and those that wait, to the next connection, in their order. A streamed body would be missing then.
 */
export class InformationalError extends Error {
  override readonly name = 'InformationalError'
  readonly code = 'UND_ERR_INFO'
  readonly [kUndiciError] = true
  readonly [kInformational] = true
}

/** Whether undici destroys a socket because it has been idle for long enough. */
export function isIdleTimeout(error: Error | undefined): boolean {
  return isUndiciError(error, 'UND_ERR_INFO') && error?.message === 'socket idle timeout'
}

/** Whether undici destroys a socket because its input has ended. */
export function isInputEnd(error: Error | undefined): boolean {
  return isUndiciError(error, 'UND_ERR_SOCKET') && error?.message === 'other side closed'
}

function isUndiciError(error: Error | undefined, code: string): boolean {
  return (error as NodeJS.ErrnoException | undefined)?.code === code
}
