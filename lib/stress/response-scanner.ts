/**
 * Finds the end of HTTP/1.1 responses in a stream of bytes: RFC 9112, section 6.3. Reads no more of a head than
 * that takes, makes no strings, and strips no framing: a load client throws the bodies away.
 */
import { Buffer } from 'node:buffer'

const CR = 13
const LF = 10
const SPACE = 32
const TAB = 9
const COLON = 58
const SEMICOLON = 59

const enum State {
  Head,
  Body,
  UntilClose,
  ChunkSize,
  ChunkExtension,
  ChunkSizeEnd,
  ChunkData,
  ChunkDataEnd,
  Trailers,
  Done,
  Failed,
}

export const scannerLimits = {
  /** The longest head, and the longest trailers, in bytes: Node's --max-http-header-size. */
  headBytes: 16_384,
  /** The longest chunk extensions of one body: Node's limit. */
  extensionBytes: 16_384,
  /** 1xx responses before one answer. */
  interim: 100,
} as const

/** What a head says of the response that it begins. */
interface Framing {
  readonly status: number
  /** -1 without a Content-Length. */
  readonly length: number
  /** Whether `chunked` is the last transfer coding; undefined without a Transfer-Encoding. */
  readonly isChunked: boolean | undefined
  readonly keepsAlive: boolean
}

/** The latest head. A server sends the same one for a second, in which only the first is parsed. */
export class LatestHead {
  #bytes = Buffer.alloc(0)
  #framing: Framing | undefined

  /** Returns its framing if the bytes begin with it. */
  framingOf(chunk: Buffer, from: number, to: number): Framing | undefined {
    const bytes = this.#bytes
    const { length } = bytes
    return length <= to - from && bytes.compare(chunk, from, from + length) === 0
      ? this.#framing
      : undefined
  }

  get length(): number {
    return this.#bytes.length
  }

  keep(head: Buffer, from: number, to: number, framing: Framing): void {
    // A copy, since the caller reads into the same buffer again.
    this.#bytes = Buffer.from(head.subarray(from, to))
    this.#framing = framing
  }
}

const contentLength = Buffer.from('content-length')
const transferEncoding = Buffer.from('transfer-encoding')
const connection = Buffer.from('connection')

/** Reads one response after the other of one connection. */
export class ResponseScanner {
  /** The status of the response; 0 before its head is complete. */
  status = 0
  /** Whether the connection can carry another request after this response. */
  keepsAlive = false
  /** Why the bytes are no HTTP/1.1 response; undefined if they are. */
  failure: string | undefined
  #state = State.Done
  #isHead = false
  /** Bytes of the body or of the chunk that are still to come. */
  #left = 0
  #chunkDigits = 0
  #extensionBytes = 0
  #interim = 0
  /** The beginning of a head that came in several pieces, or the length of the trailers. */
  #kept: Buffer | undefined
  #trailerBytes = 0
  /** Bytes of the present line of the trailers, without its end. */
  #lineBytes = 0
  #sawCr = false
  readonly #latest: LatestHead

  /** @param latest shared by the connections to one server */
  constructor(latest = new LatestHead()) {
    this.#latest = latest
  }

  /** Prepares for the next response. @param isHead whether it answers a HEAD request, and so has no body */
  begin(isHead: boolean): void {
    this.status = 0
    this.keepsAlive = false
    this.failure = undefined
    this.#state = State.Head
    this.#isHead = isHead
    this.#kept = undefined
    this.#interim = 0
    this.#extensionBytes = 0
  }

  /** Whether the response is complete. */
  get isDone(): boolean {
    return this.#state === State.Done
  }

  /**
   * Reads bytes of the connection.
   *
   * @returns the index after the end of the response: what follows belongs to the next one. -1 if the response is
   *   not complete, or if it failed
   */
  push(chunk: Buffer, from = 0, to = chunk.length): number {
    let at = from
    while (at < to) {
      switch (this.#state) {
        case State.Head:
          at = this.#readHead(chunk, at, to)
          break
        case State.Body:
        case State.ChunkData:
          at = this.#skip(at, to)
          break
        case State.UntilClose:
          return -1
        case State.Done:
          return at
        case State.Failed:
          return -1
        case State.Trailers:
          at = this.#readTrailers(chunk, at, to)
          break
        default:
          at = this.#readChunkFraming(chunk, at, to)
      }
    }
    return this.#state === State.Done ? at : -1
  }

  /** The connection has ended. @returns whether the response is complete */
  end(): boolean {
    if (this.#state === State.UntilClose) this.#state = State.Done
    return this.#state === State.Done
  }

  #fail(why: string, to: number): number {
    this.#state = State.Failed
    this.failure = why
    return to
  }

  #skip(at: number, to: number): number {
    const skipped = Math.min(this.#left, to - at)
    this.#left -= skipped
    if (this.#left === 0) this.#state = this.#state === State.Body ? State.Done : State.ChunkDataEnd
    return at + skipped
  }

  #readHead(chunk: Buffer, at: number, to: number): number {
    const kept = this.#kept
    if (kept === undefined) {
      const known = this.#latest.framingOf(chunk, at, to)
      if (known !== undefined) return this.#takeFraming(known, at + this.#latest.length, to)
      const end = endOfHead(chunk, at, to)
      if (end >= 0) {
        if (end - at > scannerLimits.headBytes) return this.#tooLong(to)
        return this.#takeHead(chunk, at, end, to)
      }
      return this.#keep(chunk, at, to)
    }
    // The end may begin in what was kept.
    const overlap = Math.min(kept.length, 3)
    const joined = Buffer.concat([kept, chunk.subarray(at, to)])
    const end = endOfHead(joined, kept.length - overlap, joined.length)
    if (end < 0) return this.#keep(chunk, at, to)
    if (end > scannerLimits.headBytes) return this.#tooLong(to)
    this.#kept = undefined
    const after = at + end - kept.length
    const next = this.#takeHead(joined, 0, end, joined.length)
    return this.#failed() ? to : next === end ? after : to
  }

  #failed(): boolean {
    return this.#state === State.Failed
  }

  #keep(chunk: Buffer, at: number, to: number): number {
    const fresh = chunk.subarray(at, to)
    // A copy, since the caller reads into the same buffer again.
    this.#kept = this.#kept === undefined ? Buffer.from(fresh) : Buffer.concat([this.#kept, fresh])
    if (this.#kept.length > scannerLimits.headBytes) return this.#tooLong(to)
    const why = wrongStart(this.#kept)
    return why === undefined ? to : this.#fail(why, to)
  }

  #tooLong(to: number): number {
    return this.#fail(`a head of more than ${String(scannerLimits.headBytes)} bytes`, to)
  }

  /** Reads a complete head. @returns `end`, or `to` if it failed */
  #takeHead(bytes: Buffer, start: number, end: number, to: number): number {
    const framing = framingOf(bytes, start, end)
    if (typeof framing === 'string') return this.#fail(framing, to)
    this.#latest.keep(bytes, start, end, framing)
    return this.#takeFraming(framing, end, to)
  }

  /** @returns `end`, or `to` if it failed */
  #takeFraming(
    { status, length, isChunked, keepsAlive }: Framing,
    end: number,
    to: number,
  ): number {
    if (status < 200 && status !== 101) {
      this.#interim++
      if (this.#interim <= scannerLimits.interim) return end
      return this.#fail(`more than ${String(scannerLimits.interim)} interim responses`, to)
    }
    this.status = status
    // After 101 the connection has another protocol.
    this.keepsAlive = keepsAlive && status !== 101
    if (this.#isHead || status === 101 || status === 204 || status === 304) {
      this.#state = State.Done
    } else if (isChunked === true) {
      this.#beginChunk()
    } else if (isChunked === false || length < 0) {
      this.keepsAlive = false
      this.#state = State.UntilClose
    } else {
      this.#left = length
      this.#state = length === 0 ? State.Done : State.Body
    }
    return end
  }

  #beginChunk(): void {
    this.#state = State.ChunkSize
    this.#left = 0
    this.#chunkDigits = 0
  }

  /** Reads one byte between the data of two chunks. */
  #readChunkFraming(chunk: Buffer, at: number, to: number): number {
    const byte = chunk[at] ?? 0
    switch (this.#state) {
      case State.ChunkSize: {
        const digit = hexDigit(byte)
        if (digit >= 0) {
          this.#left = this.#left * 16 + digit
          this.#chunkDigits++
          if (this.#left <= Number.MAX_SAFE_INTEGER) return at + 1
          return this.#fail('a chunk of more than 2^53 - 1 bytes', to)
        }
        if (this.#chunkDigits === 0) return this.#fail('a chunk without a size', to)
        if (byte === CR) this.#state = State.ChunkSizeEnd
        else if (byte === SEMICOLON) this.#state = State.ChunkExtension
        else return this.#fail('a chunk size that is not a number', to)
        return at + 1
      }
      case State.ChunkExtension:
        if (++this.#extensionBytes > scannerLimits.extensionBytes)
          return this.#fail('chunk extensions that are too long', to)
        if (byte === CR) this.#state = State.ChunkSizeEnd
        else if (byte === LF) return this.#fail('a chunk size that does not end with CR LF', to)
        return at + 1
      case State.ChunkSizeEnd:
        if (byte !== LF) return this.#fail('a chunk size that does not end with CR LF', to)
        if (this.#left === 0) this.#beginTrailers()
        else this.#state = State.ChunkData
        return at + 1
      default: {
        // ChunkDataEnd
        const isCr = !this.#sawCr
        if (byte !== (isCr ? CR : LF)) return this.#fail('a chunk that is longer than its size', to)
        this.#sawCr = isCr
        if (!isCr) this.#beginChunk()
        return at + 1
      }
    }
  }

  #beginTrailers(): void {
    this.#state = State.Trailers
    this.#trailerBytes = 0
    this.#lineBytes = 0
    this.#sawCr = false
  }

  /** Reads lines up to an empty one. */
  #readTrailers(chunk: Buffer, from: number, to: number): number {
    for (let at = from; at < to; at++) {
      if (++this.#trailerBytes > scannerLimits.headBytes)
        return this.#fail('trailers that are too long', to)
      const byte = chunk[at]
      if (this.#sawCr) {
        if (byte !== LF) return this.#fail('a trailer that does not end with CR LF', to)
        this.#sawCr = false
        if (this.#lineBytes === 0) {
          this.#state = State.Done
          return at + 1
        }
        this.#lineBytes = 0
      } else if (byte === CR) this.#sawCr = true
      else if (byte === LF) return this.#fail('a trailer that does not end with CR LF', to)
      else this.#lineBytes++
    }
    return to
  }
}

/** The index after the empty line; -1 if there is none. */
function endOfHead(bytes: Buffer, from: number, to: number): number {
  for (let at = from + 3; at < to; at++) {
    if (bytes[at] === LF && bytes[at - 1] === CR && bytes[at - 2] === LF && bytes[at - 3] === CR)
      return at + 1
  }
  return -1
}

/** Reads a complete head. @returns why it is none, if it is none */
function framingOf(bytes: Buffer, start: number, end: number): Framing | string {
  const why = wrongStart(bytes, start, end)
  if (why !== undefined) return why
  const status = numberAt(bytes, start + 9)
  if (status < 100) return 'a status that is not a number from 100 to 999'
  const afterStatus = bytes[start + 12]
  if (afterStatus !== SPACE && afterStatus !== CR) return 'no status line'
  const isVersion11 = bytes[start + 7] === 49
  let line = bytes.indexOf(LF, start) + 1
  if (bytes[line - 2] !== CR) return 'a line of the head that does not end with CR LF'
  let length = -1
  let isChunked: boolean | undefined
  let closes = false
  let keeps = false
  // The last line is empty.
  while (line < end - 2) {
    const lineEnd = bytes.indexOf(LF, line) - 1
    if (bytes[lineEnd] !== CR) return 'a line of the head that does not end with CR LF'
    const colon = nameEnd(bytes, line, lineEnd)
    if (colon < 0) return 'a header without a name'
    const size = colon - line
    if (size === contentLength.length && isName(bytes, line, contentLength)) {
      if (length >= 0) return 'two Content-Length headers'
      length = decimalIn(bytes, colon + 1, lineEnd)
      if (length < 0) return 'a Content-Length that is not a number'
    } else if (size === transferEncoding.length && isName(bytes, line, transferEncoding)) {
      isChunked = isLastCoding(bytes, colon + 1, lineEnd)
    } else if (size === connection.length && isName(bytes, line, connection)) {
      const options = bytes
        .toString('latin1', colon + 1, lineEnd)
        .toLowerCase()
        .split(',')
      closes ||= options.some((option) => option.trim() === 'close')
      keeps ||= options.some((option) => option.trim() === 'keep-alive')
    }
    line = lineEnd + 2
  }
  if (length >= 0 && isChunked !== undefined) return 'a Content-Length beside a Transfer-Encoding'
  return { status, length, isChunked, keepsAlive: !closes && (isVersion11 || keeps) }
}

/** `HTTP/1.1 200`, or as much of it as there is. */
function wrongStart(bytes: Buffer, start = 0, end = bytes.length): string | undefined {
  for (let at = start; at < Math.min(end, start + 12); at++) {
    const byte = bytes[at] ?? 0
    const isRight =
      at - start < 7
        ? byte === VERSION.charCodeAt(at - start)
        : at - start === 7
          ? byte === 48 || byte === 49
          : at - start === 8
            ? byte === SPACE
            : isDigit(byte)
    if (!isRight) return 'no status line of HTTP/1.1'
  }
  return undefined
}

const VERSION = 'HTTP/1.'

function isDigit(byte: number): boolean {
  return byte >= 48 && byte <= 57
}

/** Three digits. */
function numberAt(bytes: Buffer, at: number): number {
  const [a = 0, b = 0, c = 0] = [bytes[at], bytes[at + 1], bytes[at + 2]]
  return isDigit(a) && isDigit(b) && isDigit(c) ? (a - 48) * 100 + (b - 48) * 10 + c - 48 : -1
}

/** The index of the colon after a name; -1 for a line that has none, or that continues the one before. */
function nameEnd(bytes: Buffer, line: number, lineEnd: number): number {
  for (let at = line; at < lineEnd; at++) {
    const byte = bytes[at] ?? 0
    if (byte === COLON) return at === line ? -1 : at
    if (byte <= SPACE || byte >= 127) return -1
  }
  return -1
}

/** Whether the bytes are a name, whatever the case of their letters. */
function isName(bytes: Buffer, at: number, name: Buffer): boolean {
  for (let index = 0; index < name.length; index++) {
    const byte = bytes[at + index] ?? 0
    const lower = byte >= 65 && byte <= 90 ? byte + 32 : byte
    if (lower !== name[index]) return false
  }
  return true
}

function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB
}

/** The number between blanks; -1 if there is another thing. */
function decimalIn(bytes: Buffer, from: number, to: number): number {
  let start = from
  let end = to
  while (start < end && isBlank(bytes[start])) start++
  while (end > start && isBlank(bytes[end - 1])) end--
  if (start === end) return -1
  let value = 0
  for (let at = start; at < end; at++) {
    const byte = bytes[at] ?? 0
    if (!isDigit(byte)) return -1
    value = value * 10 + byte - 48
    if (value > Number.MAX_SAFE_INTEGER) return -1
  }
  return value
}

/** Whether `chunked` is the last of the codings. */
function isLastCoding(bytes: Buffer, from: number, to: number): boolean {
  const codings = bytes.toString('latin1', from, to).toLowerCase().split(',')
  return codings.at(-1)?.trim() === 'chunked'
}

function hexDigit(byte: number): number {
  if (isDigit(byte)) return byte - 48
  const lower = byte | 32
  return lower >= 97 && lower <= 102 ? lower - 87 : -1
}
