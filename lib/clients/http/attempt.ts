import type * as http from 'node:http'
import type * as net from 'node:net'
import {
  answerTo,
  headOf,
  takeFromSocket,
  type Output,
  type WriteCallback,
} from '../../node/http-client'

/** More than this is not kept to be sent again, bytes (UTF-16 units of a string). */
const KEPT = 65_536

/** Requests that wait for a word of the server before they go on. */
const conversation = /^(?:expect|upgrade):/im

interface Written {
  readonly data: string | Uint8Array
  readonly encoding: BufferEncoding | null | undefined
  /** undefined when it has been called. */
  callback: WriteCallback | null | undefined
}

/** RFC 9110 section 9.2.2. */
export function isIdempotent(request: http.ClientRequest): boolean {
  switch (request.method) {
    case 'GET':
    case 'HEAD':
    case 'OPTIONS':
    case 'TRACE':
    case 'PUT':
    case 'DELETE':
      return true
    default:
      return false
  }
}

/**
 * A request on a reused connection, until it has an answer: keeps what it wrote, so that it can be
 * taken back from a connection that turns out to be dead and be sent on another one.
 */
export class Attempt {
  readonly #request: http.ClientRequest
  /** Of the connection, before this request: more means that an answer has begun. */
  readonly #bytesRead: number
  /** What it wrote first, which for most requests is all, and what came after that. */
  #first: Written | undefined
  #more: Written[] | undefined
  #size = 0
  /** Told nothing yet of their write that failed: it may be made again. */
  #failed: { readonly callback: WriteCallback; readonly error: Error }[] | undefined
  #state: 'open' | 'taken back' | 'over' = 'open'

  constructor(request: http.ClientRequest, bytesRead: number) {
    this.#request = request
    this.#bytesRead = bytesRead
  }

  /** Takes note of a write; returns the callback to give to the socket. */
  wrote(
    data: Output['data'],
    encoding: Output['encoding'],
    callback: Output['callback'],
  ): Output['callback'] {
    if (this.#state !== 'open') return callback
    this.#size += data.length
    if (this.#size > KEPT) {
      this.end()
      return callback
    }
    // The caller may use its buffer again once it has been written.
    const copy = typeof data === 'string' ? data : Buffer.from(data)
    const written: Written = { data: copy, encoding, callback }
    if (this.#first === undefined) this.#first = written
    else if (this.#more === undefined) this.#more = [written]
    else this.#more.push(written)
    return (error) => {
      if (this.#state === 'taken back') return
      const { callback: own } = written
      if (typeof own !== 'function') return
      if (error && this.#state === 'open') {
        ;(this.#failed ??= []).push({ callback: own, error })
        return
      }
      written.callback = undefined
      own(error)
    }
  }

  /** There is nothing to be sent again any more. */
  end(): void {
    if (this.#state !== 'open') return
    this.#state = 'over'
    this.#first = undefined
    this.#more = undefined
    const failed = this.#failed
    this.#failed = undefined
    if (failed !== undefined) for (const { callback, error } of failed) callback(error)
  }

  /**
   * Takes the request back from a socket that failed, if it can be sent again: then the request is as
   * it was before it had a socket, with all that it wrote waiting to be written.
   */
  takeBack(socket: net.Socket): http.ClientRequest | undefined {
    const request = this.#request
    if (
      this.#state !== 'open' ||
      request.destroyed ||
      answerTo(request) !== undefined ||
      request.socket !== socket ||
      socket.bytesRead !== this.#bytesRead ||
      conversation.test(headOf(request))
    ) {
      this.end()
      return undefined
    }
    this.#state = 'taken back'
    const first = this.#first === undefined ? [] : [this.#first]
    takeFromSocket(request, socket, [...first, ...(this.#more ?? [])], this.#size)
    return request
  }
}
