import type * as http from 'node:http'
import type * as http2 from 'node:http2'
import type * as net from 'node:net'
import { fallback, type Fallback } from '../close/fallback'
import { attachPolicy, observeClose, policyOf } from '../close/hooks'
import { closeLimits } from '../close/close-limits'
import { ClosePolicy, type PolicyOptions } from '../close/mode'
import { plainClose } from '../close/close-options'
import { closeModes } from '../close/modes'
import type { CloseReport } from '../close/close-report'
import {
  ArgumentTypeError,
  ArgumentValueError,
  SocketTunerError,
  checkObject,
  isObject,
} from '../errors'
import { custom, spec, whole, type Bytes, type InputOf } from '../spec'
import { isStreamSocket } from '../target'

/** The options of an early answer to a request whose body is not wanted. */
export const earlyAnswer = spec({
  /** The status code, for example 413 or 401. */
  status: whole(200, 599).required(),
  /** The headers of the answer. Content-Length, Transfer-Encoding and Connection are ignored: this function sets them. */
  headers: custom<http.OutgoingHttpHeaders>('headers by their names', (argument, value) => {
    checkObject(argument, value)
    return value as http.OutgoingHttpHeaders
  }).default({}),
  /** The whole body of the answer, which determines Content-Length. */
  body: custom<string | Bytes, Bytes>('a string or a Uint8Array', bytesOf).default(
    new Uint8Array(0),
  ),
  /** The deadline of the close after the answer, ms. Default 30,000. */
  deadlineMs: closeLimits.fields.deadlineMs,
  /** The close also ends after this time without input from the peer, ms. Default 5,000. */
  idleMs: closeLimits.fields.idleMs,
  /** The close also ends after this many discarded bytes. Default 1 GiB (2^30). */
  maxDiscardBytes: closeLimits.fields.maxDiscardBytes,
  /** The most connections of a server that may linger at once. One more ends the oldest of them. Default 1,000. */
  maxLingering: closeLimits.fields.maxLingering,
})

export type EarlyAnswer = InputOf<typeof earlyAnswer>

/** The end of the response and its connection. */
export interface EarlyAnswerReport {
  /**
   * `kept`: the request was complete, and the connection stays open. `stream`: only the HTTP/2 stream ended.
   * `none`: there is no socket, for example under `fastify.inject()`, or it was closed before the answer was sent.
   * Otherwise, the close mode that was used.
   */
  readonly end: 'kept' | 'stream' | 'none' | CloseReport['mode']
  /** Why the answer was not sent, or the input not read to its end: a deadline, a limit or an error. */
  readonly fallback?: Fallback
  /** Bytes of the connection that were discarded after the answer. */
  readonly unreadBytes: number
}

const gone: EarlyAnswerReport = {
  end: 'none',
  fallback: fallback('destroyed', 'the connection was closed before the answer was sent'),
  unreadBytes: 0,
}
const resetByPeer = fallback('peer-error', 'the client reset the stream before the answer was sent')

/** RFC 9113 section 7. */
const NO_ERROR = 0
/** RFC 9112 sections 6 and 9.6. */
const framing = ['content-length', 'transfer-encoding', 'connection']

type AnyRequest = http.IncomingMessage | http2.Http2ServerRequest
type AnyResponse = http.ServerResponse | http2.Http2ServerResponse

/**
 * Answers a request before its body has been read, so that the answer arrives although the client is still sending.
 * Node would close the connection after such an answer. A close() with unread input sends a RST, which makes the
 * client's kernel discard the answer. This function sends a FIN after the answer instead, and discards input until
 * the client has finished, has been silent for `idleMs` (5 s), `deadlineMs` (30 s) has passed, or a limit is reached.
 * It corresponds to nginx's lingering_close (RFC 9112 section 9.6), and works over TLS too.
 *
 * On HTTP/2 the stream ends with RST_STREAM NO_ERROR after the answer (RFC 9113 section 8.1), and the connection
 * stays open.
 *
 * Resolves when the response is complete and, if the connection closes with it, the connection has ended. Never
 * rejects, and need not be awaited. A request that a test injects (light-my-request, @hapi/shot) has no connection:
 * then only the response counts.
 *
 * @throws (at once) ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_SOCKET_TUNER_UNKNOWN_OPTION;
 *   ERR_HTTP_HEADERS_SENT if the answer has already begun; Node's error for an invalid header. Nothing is changed then
 */
export function answerEarly(
  request: AnyRequest,
  response: AnyResponse,
  answer: EarlyAnswer,
): Promise<EarlyAnswerReport> {
  const { status, headers, body: bytes, ...limits } = earlyAnswer.check('answer', answer)
  const policy = { ...plainClose(closeModes.lingering), ...limits }
  checkPair(request, response)
  if (response.headersSent) {
    throw new SocketTunerError('The answer has already begun', { code: 'ERR_HTTP_HEADERS_SENT' })
  }
  const all = { ...withoutFraming(headers), 'content-length': bytes.length }
  if (isHttp2(response)) return endStream(response, status, all, bytes)
  const { socket } = request as { socket: unknown }
  const keeps = isComplete(request as http.IncomingMessage)
  // Throws for an invalid header.
  response.writeHead(status, keeps ? all : { ...all, connection: 'close' })
  const over = isStreamSocket(socket)
    ? endOnSocket(response, socket, keeps ? undefined : policy)
    : responseOver(response).then(() => ({ end: 'none', unreadBytes: 0 }) as const)
  response.end(bytes)
  return over
}

/** @param policy how to close the connection after the answer; undefined to keep it open */
function endOnSocket(
  response: http.ServerResponse,
  socket: net.Socket,
  policy: PolicyOptions | undefined,
): Promise<EarlyAnswerReport> {
  if (socket.destroyed || socket.writableEnded) return Promise.resolve(gone)
  if (policy !== undefined) return lingering(response, socket, policy)
  return responseOver(response, socket).then((isSent) =>
    isSent ? { end: 'kept', unreadBytes: 0 } : gone,
  )
}

/** Resolves with true when the response was sent, or with false when it will not be. */
function responseOver(response: http.ServerResponse, socket?: net.Socket): Promise<boolean> {
  return new Promise((resolve) => {
    const finished = (): void => {
      over(!hasFailed(socket))
    }
    const closed = (): void => {
      over(false)
    }
    const over = (isSent: boolean): void => {
      response.off('finish', finished).off('close', closed)
      socket?.off('close', closed)
      resolve(isSent)
    }
    response.once('finish', finished).once('close', closed)
    // A response that waits for an earlier one on the connection emits no 'close' when the socket closes.
    socket?.once('close', closed)
  })
}

/** Whether the last write failed. Node 20 emits 'finish' even then. */
function hasFailed(socket: net.Socket | undefined): boolean {
  return (socket?.errored ?? null) !== null
}

/** Sets mode `lingering` for the connection, and resolves when it has ended. */
function lingering(
  response: http.ServerResponse,
  socket: net.Socket,
  policy: PolicyOptions,
): Promise<EarlyAnswerReport> {
  const { armed = false, lingering: group } = policyOf(socket) ?? {}
  let isFinished = false
  response.once('finish', () => {
    isFinished = !hasFailed(socket)
  })
  return new Promise((resolve) => {
    attachPolicy(new ClosePolicy(socket, policy, armed, group))
    observeClose(socket, ({ mode, fallback, unreadBytes, discardedBytes, wasOver = false }) => {
      // A socket that is destroyed before 'finish' may still have passed everything to the kernel.
      const isSent = isFinished || (discardedBytes === 0 && !wasOver)
      const why = fallback === undefined ? {} : { fallback }
      resolve(isSent ? { end: mode, ...why, unreadBytes } : { ...gone, ...why, unreadBytes })
    })
  })
}

function endStream(
  response: http2.Http2ServerResponse,
  status: number,
  headers: http.OutgoingHttpHeaders,
  bytes: Uint8Array,
): Promise<EarlyAnswerReport> {
  const { stream } = response
  response.writeHead(status, headers)
  if (stream.closed || stream.destroyed) return Promise.resolve(gone)
  return new Promise((resolve) => {
    let isSent = false
    stream.once('close', () => {
      const report = { end: 'stream', unreadBytes: 0 } as const
      resolve(isSent ? report : { ...report, fallback: resetByPeer })
    })
    response.end(bytes, () => {
      isSent = true
      stream.close(NO_ERROR)
    })
  })
}

/** Whether the request is complete, or has announced no body. */
function isComplete({ complete, headers }: http.IncomingMessage): boolean {
  if (complete) return true
  return headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0
}

function withoutFraming(headers: http.OutgoingHttpHeaders): http.OutgoingHttpHeaders {
  const wanted = Object.entries(headers).filter(([name]) => !framing.includes(name.toLowerCase()))
  return Object.fromEntries(wanted)
}

function bytesOf(argument: string, body: unknown): Uint8Array {
  if (typeof body === 'string') return Buffer.from(body)
  if (body instanceof Uint8Array) return body
  throw new ArgumentTypeError(argument, 'of type string or an instance of Uint8Array', body)
}

/** Avoids loading node:http2. */
function isHttp2(response: AnyResponse): response is http2.Http2ServerResponse {
  return typeof (response as Partial<http2.Http2ServerResponse>).createPushResponse === 'function'
}

function checkPair(request: unknown, response: unknown): void {
  if (!isObject(request) || typeof request.httpVersion !== 'string')
    throw new ArgumentTypeError('request', 'the request of an http or http2 server', request)
  if (
    !isObject(response) ||
    typeof response.writeHead !== 'function' ||
    typeof response.once !== 'function'
  )
    throw new ArgumentTypeError('response', 'the response of an http or http2 server', response)
  const { req } = response
  // An injected response may have another object in `req`.
  if (req !== request && isObject(req) && isStreamSocket(req.socket))
    throw new ArgumentValueError('response', 'must be that of the request', response)
}
