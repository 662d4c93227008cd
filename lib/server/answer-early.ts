import type * as http from 'node:http'
import type * as http2 from 'node:http2'
import type * as net from 'node:net'
import { fallback, type Fallback } from '../close/fallback'
import { attachPolicy, observeClose, policyOf } from '../close/hooks'
import { closeLimits } from '../close/limits'
import { plainClose, type PolicyOptions } from '../close/options'
import { closeModes } from '../close/modes'
import type { CloseReport } from '../close/report'
import {
  ArgumentTypeError,
  ArgumentValueError,
  SocketTunerError,
  checkObject,
  isObject,
} from '../errors'
import { custom, spec, whole, type Bytes, type InputOf } from '../spec'
import { isStreamSocket } from '../target'

/** An answer to a request whose body is not wanted. */
export const earlyAnswer = spec({
  /** The status code, 200 to 599: 413, 401, 400, … */
  status: whole(200, 599).required(),
  /** Content-Length, Transfer-Encoding and Connection are left out: they follow from the rest. */
  headers: custom<http.OutgoingHttpHeaders>('headers by their names', (argument, value) => {
    checkObject(argument, value)
    return value as http.OutgoingHttpHeaders
  }).default({}),
  /** The whole body of the answer; its length is told in Content-Length. */
  body: custom<string | Bytes, Bytes>('a string or a Uint8Array', bytesOf).default(
    new Uint8Array(0),
  ),
  /** Deadline of the close after the answer, ms. Default 30 000. */
  deadlineMs: closeLimits.fields.deadlineMs,
  /** It also ends when the peer sends nothing for so long, ms. Default 5 000. */
  idleMs: closeLimits.fields.idleMs,
  /** And when it has thrown away more than so many bytes. Default 1 GiB (2^30). */
  maxDiscardBytes: closeLimits.fields.maxDiscardBytes,
  /**
   * At most so many connections of a server linger at once: the one that has lingered longest is ended
   * when another comes. Default 1,000.
   */
  maxLingering: closeLimits.fields.maxLingering,
})

export type EarlyAnswer = InputOf<typeof earlyAnswer>

/** What became of the connection. */
export interface EarlyAnswerReport {
  /**
   * `kept` when the request had come in whole, so that the connection goes on; `stream` for HTTP/2,
   * where only the stream ends; `none` where there is no socket, as under `fastify.inject()`, or it was
   * closed before the answer was sent; else the close mode that was used.
   */
  readonly end: 'kept' | 'stream' | 'none' | CloseReport['mode']
  /** Why the answer was not sent, or the peer not read to its end: a deadline, a limit, an error. */
  readonly fallback?: Fallback
  /** Bytes of the connection that were thrown away after the answer. */
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

type Request = http.IncomingMessage | http2.Http2ServerRequest
type Response = http.ServerResponse | http2.Http2ServerResponse

/**
 * Answers a request before its body was read, so that the answer arrives although the client is still
 * sending. Node closes the connection after such an answer, and close() with unread input sends a RST,
 * at which the client's kernel throws the answer away. Here the FIN follows the answer, and input is
 * thrown away until the client has finished, it was silent for `idleMs` (5 s), `deadlineMs`
 * (30 s) have passed, or a limit is reached: nginx's lingering_close (RFC 9112 section 9.6). TLS too.
 *
 * On HTTP/2 the stream ends with RST_STREAM NO_ERROR after the answer, as RFC 9113 section 8.1 has it,
 * and the connection goes on.
 *
 * Resolves when the response is over and, where the connection closes with it, the connection; never
 * rejects. Nothing has to be awaited. Where a test injects the request (light-my-request, @hapi/shot)
 * there is no connection: the response is all there is.
 *
 * @throws (at once) ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE,
 *   ERR_SOCKET_TUNER_UNKNOWN_OPTION; ERR_HTTP_HEADERS_SENT
 *   when the answer has begun already; as Node for a header that cannot be sent. Nothing is changed then
 */
export function answerEarly(
  request: Request,
  response: Response,
  answer: EarlyAnswer,
): Promise<EarlyAnswerReport> {
  const { status, headers, body: bytes, ...limits } = earlyAnswer.check('answer', answer)
  const policy = { ...plainClose(closeModes.lingering), ...limits }
  checkPair(request, response)
  if (response.headersSent) {
    throw new SocketTunerError('The answer has begun already', { code: 'ERR_HTTP_HEADERS_SENT' })
  }
  const all = { ...withoutFraming(headers), 'content-length': bytes.length }
  if (isHttp2(response)) return endStream(response, status, all, bytes)
  const { socket } = request as { socket: unknown }
  const keeps = isWhole(request as http.IncomingMessage)
  // It throws for a header that cannot be sent.
  response.writeHead(status, keeps ? all : { ...all, connection: 'close' })
  const over = isStreamSocket(socket)
    ? endOnSocket(response, socket, keeps ? undefined : policy)
    : responseOver(response).then(() => ({ end: 'none', unreadBytes: 0 }) as const)
  response.end(bytes)
  return over
}

/** @param policy how the connection is to end with the answer; undefined to keep it */
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

/** Resolves with whether the response was sent, when it was or never will be. */
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
    // A response that waits for an earlier one of the connection does not emit 'close' with it.
    socket?.once('close', closed)
  })
}

/** Whether the last write failed: Node 20 emits 'finish' all the same. */
function hasFailed(socket: net.Socket | undefined): boolean {
  return (socket?.errored ?? null) !== null
}

/** Puts the connection under mode `lingering`; resolves when it is over. */
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
    attachPolicy({ ...policy, socket, armed, lingering: group })
    observeClose(socket, ({ mode, fallback, unreadBytes, discardedBytes, wasOver = false }) => {
      // A socket that is destroyed first may have given all to the kernel.
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

/** Whether nothing of the request is still to come: it is complete, or announced no body. */
function isWhole({ complete, headers }: http.IncomingMessage): boolean {
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

/** Without loading node:http2 for it. */
function isHttp2(response: Response): response is http2.Http2ServerResponse {
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
  // An injected response may have something else there.
  if (req !== request && isObject(req) && isStreamSocket(req.socket))
    throw new ArgumentValueError('response', 'must be that of the request', response)
}
