/** The request of a connection, and the reader that finds the end of its answer. */
import { Buffer } from 'node:buffer'
import type { CheckedStress } from './options'
import { LatestHead, ResponseScanner } from './response-scanner'

/** Reads the answers of one connection. */
export interface AnswerReader {
  /** The HTTP status; 0 for raw TCP. */
  readonly status: number
  readonly keepsAlive: boolean
  /** Why the bytes are not the expected answer; undefined if they are. */
  readonly failure: string | undefined
  begin(isHead: boolean): void
  /** @returns the index after the end of the answer, or -1 */
  push(chunk: Buffer, from: number, to: number): number
  /** The connection has ended. @returns whether the answer is complete */
  end(): boolean
}

/** The exchange on each connection of a run. */
export interface Conversation {
  /** Undefined for connections that are closed once they are open. */
  readonly request: Buffer | undefined
  /** The last request of a connection. */
  readonly lastRequest: Buffer | undefined
  readonly isHead: boolean
  newReader(): AnswerReader
}

export function conversationOf(options: CheckedStress): Conversation {
  const { target, method, send, expect, close } = options
  if (target.protocol === 'tcp' || target.protocol === 'tls') {
    const request = send === undefined ? undefined : Buffer.from(send)
    const expected =
      typeof expect === 'number' || expect === undefined ? expect : Buffer.from(expect)
    return {
      request,
      lastRequest: request,
      isHead: false,
      newReader: () => new RawAnswer(expected),
    }
  }
  const latest = new LatestHead()
  return {
    request: httpRequest(options, false),
    lastRequest: httpRequest(options, close === 'server'),
    isHead: method === 'HEAD',
    newReader: () => new ResponseScanner(latest),
  }
}

function httpRequest({ target, method, headers, body }: CheckedStress, closes: boolean): Buffer {
  const names = Object.keys(headers).map((name) => name.toLowerCase())
  const content = body === undefined ? undefined : Buffer.from(body)
  const lines = [`${method} ${target.path} HTTP/1.1`]
  if (!names.includes('host')) lines.push(`Host: ${target.authority}`)
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`)
  if (content !== undefined) lines.push(`Content-Length: ${String(content.length)}`)
  if (closes) lines.push('Connection: close')
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
  return content === undefined ? head : Buffer.concat([head, content])
}

/** The answer of a raw TCP server: given bytes, a number of bytes, or any. */
export class RawAnswer implements AnswerReader {
  readonly status = 0
  readonly keepsAlive = true
  failure: string | undefined
  readonly #expected: Buffer | undefined
  readonly #length: number
  #received = 0

  constructor(expected: number | Buffer | undefined) {
    this.#expected = typeof expected === 'object' ? expected : undefined
    this.#length = typeof expected === 'object' ? expected.length : (expected ?? -1)
  }

  begin(): void {
    this.#received = 0
    this.failure = undefined
  }

  push(chunk: Buffer, from: number, to: number): number {
    const length = this.#length
    if (length < 0) return to > from ? to : -1
    const taken = Math.min(to - from, length - this.#received)
    const expected = this.#expected
    if (expected !== undefined && !isPart(expected, this.#received, chunk, from, taken)) {
      this.failure = 'not the bytes of expect'
      return -1
    }
    this.#received += taken
    return this.#received === length ? from + taken : -1
  }

  end(): boolean {
    return this.#received === this.#length
  }
}

function isPart(whole: Buffer, at: number, chunk: Buffer, from: number, length: number): boolean {
  return whole.compare(chunk, from, from + length, at, at + length) === 0
}
