import type * as http from 'node:http'
import type * as net from 'node:net'
import { answerTo, headOf, takeFromSocket } from '../../node/http-request'
import type { Write, WriteCallback } from '../../node/intercept'
import { isConversation, MOST_SENT_AGAIN } from '../sockets/reuse'

interface RepeatableWrite {
  readonly data: string | Uint8Array
  readonly encoding: BufferEncoding | null | undefined
  /** undefined once it has been called. */
  callback: WriteCallback | null | undefined
}

/**
 * A request on an idle connection that is used, until the answer begins. Keeps what the request wrote, so that the
 * request can be repeated on another connection if this one turns out to be dead.
 */
export class RepeatableRequest {
  readonly #request: http.ClientRequest
  /** The bytes read on the connection before this request. If there are more, an answer has begun. */
  readonly #bytesRead: number
  /** The first write, which for most requests is the only one, and the later ones. */
  #first: RepeatableWrite | undefined
  #more: RepeatableWrite[] | undefined
  #size = 0
  /** The callbacks of failed writes. They are not called yet, because the write may be repeated. */
  #failed: { readonly callback: WriteCallback; readonly error: Error }[] | undefined
  #state: 'open' | 'taken back' | 'over' = 'open'

  constructor(request: http.ClientRequest, bytesRead: number) {
    this.#request = request
    this.#bytesRead = bytesRead
  }

  /** Records a write. Returns the callback to pass to the socket. */
  wrote(
    data: Write['data'],
    encoding: Write['encoding'],
    callback: Write['callback'],
  ): Write['callback'] {
    if (this.#state !== 'open') return callback
    this.#size += data.length
    if (this.#size > MOST_SENT_AGAIN) {
      this.end()
      return callback
    }
    // The caller may overwrite its buffer once the callback was called.
    const copy = typeof data === 'string' ? data : Buffer.from(data)
    const written: RepeatableWrite = { data: copy, encoding, callback }
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

  /** Stops recording: the request will not be repeated. */
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
   * Detaches the request from a socket that failed, if it can be repeated. The request is then in the state that it had
   * before it got a socket, and everything that it wrote waits to be written.
   */
  takeBack(socket: net.Socket): http.ClientRequest | undefined {
    const request = this.#request
    if (
      this.#state !== 'open' ||
      request.destroyed ||
      answerTo(request) !== undefined ||
      request.socket !== socket ||
      socket.bytesRead !== this.#bytesRead ||
      isConversation(headOf(request))
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
