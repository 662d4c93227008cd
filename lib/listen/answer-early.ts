import type * as http from 'node:http'
import type * as http2 from 'node:http2'
import type * as net from 'node:net'
import { policyOptions, type CloseModeOptions } from '../close/options'
import type { Fallback } from '../close/fallback'
import { attachPolicy, observeClose, policyOf } from '../close/hooks'
import type { CloseReport } from '../close/report'
import {
  ArgumentTypeError,
  ArgumentValueError,
  SocketOptionError,
  checkOptions,
  checkWhole,
  isObject,
} from '../errors'

/** An answer to a request whose body is not wanted. */
export interface EarlyAnswer extends Pick<
  CloseModeOptions,
  'timeoutMs' | 'idleTimeoutMs' | 'maxDiscardBytes' | 'maxLingering'
> {
  /** The status code, 200 to 599: 413, 401, 400, … */
  status: number
  /** Content-Length, Transfer-Encoding and Connection are left out: they follow from the rest. */
  headers?: http.OutgoingHttpHeaders | undefined
  /** The whole body of the answer; its length is told in Content-Length. */
  body?: string | Uint8Array | undefined
}

/** What became of the connection. */
export interface EarlyAnswerReport {
  /**
   * `kept` when the request had come in whole, so that the connection goes on; `stream` for HTTP/2,
   * where only the stream ends; else the close mode that was used.
   */
  readonly end: 'kept' | 'stream' | CloseReport['mode']
  /** Why the peer was not read to its end: a deadline, a limit, an error. */
  readonly fallback?: Fallback
  /** Bytes of the connection that were thrown away after the answer. */
  readonly unreadBytes: number
}

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
 * thrown away until the client has finished, it was silent for `idleTimeoutMs` (5 s), `timeoutMs`
 * (30 s) have passed, or a limit is reached: nginx's lingering_close (RFC 9112 section 9.6). TLS too.
 *
 * On HTTP/2 the stream ends with RST_STREAM NO_ERROR after the answer, as RFC 9113 section 8.1 has it,
 * and the connection goes on.
 *
 * Resolves when the connection is over. Returns at once otherwise; nothing has to be awaited.
 *
 * @throws (at once) ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE; ERR_HTTP_HEADERS_SENT
 *   when the answer has begun already; as Node for a header that cannot be sent. Nothing is changed then
 */
export function answerEarly(
  request: Request,
  response: Response,
  answer: EarlyAnswer,
): Promise<EarlyAnswerReport> {
  checkOptions('answer', answer)
  const { status, headers = {}, body = '' } = answer
  checkWhole('answer.status', status, 200, 599)
  checkOptions('answer.headers', headers)
  const bytes = bytesOf(body)
  const policy = policyOptions('lingering', answer)
  checkPair(request, response)
  if (response.headersSent) {
    throw new SocketOptionError('The answer has begun already', { code: 'ERR_HTTP_HEADERS_SENT' })
  }
  const all = { ...withoutFraming(headers), 'content-length': bytes.length }
  if (isHttp2(response)) return endStream(response, status, all, bytes)
  const { socket } = request as http.IncomingMessage
  if (request.complete) {
    response.writeHead(status, all).end(bytes)
    return Promise.resolve({ end: 'kept', unreadBytes: 0 })
  }
  // It throws for a header that cannot be sent.
  response.writeHead(status, { ...all, connection: 'close' })
  const over = lingering(socket, policy)
  response.end(bytes)
  return over
}

/** Puts the connection under mode `lingering`; resolves when it is over. */
function lingering(
  socket: net.Socket,
  policy: ReturnType<typeof policyOptions>,
): Promise<EarlyAnswerReport> {
  const { armed = false, lingering: group } = policyOf(socket) ?? {}
  return new Promise((resolve) => {
    attachPolicy({ ...policy, socket, armed, lingering: group })
    observeClose(socket, ({ mode, fallback, unreadBytes }) => {
      resolve({ end: mode, ...(fallback === undefined ? {} : { fallback }), unreadBytes })
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
  return new Promise((resolve) => {
    stream.once('close', () => {
      resolve({ end: 'stream', unreadBytes: 0 })
    })
    response.writeHead(status, headers).end(bytes, () => {
      stream.close(NO_ERROR)
    })
  })
}

function withoutFraming(headers: http.OutgoingHttpHeaders): http.OutgoingHttpHeaders {
  const wanted = Object.entries(headers).filter(([name]) => !framing.includes(name.toLowerCase()))
  return Object.fromEntries(wanted)
}

function bytesOf(body: unknown): Uint8Array {
  if (typeof body === 'string') return Buffer.from(body)
  if (body instanceof Uint8Array) return body
  throw new ArgumentTypeError('answer.body', 'of type string or an instance of Uint8Array', body)
}

/** Without loading node:http2 for it. */
function isHttp2(response: Response): response is http2.Http2ServerResponse {
  return typeof (response as Partial<http2.Http2ServerResponse>).createPushResponse === 'function'
}

function checkPair(request: unknown, response: unknown): void {
  if (!isObject(request) || typeof request.httpVersion !== 'string')
    throw new ArgumentTypeError('request', 'the request of an http or http2 server', request)
  if (!isObject(response) || typeof response.writeHead !== 'function')
    throw new ArgumentTypeError('response', 'the response of an http or http2 server', response)
  if (response.req !== request)
    throw new ArgumentValueError('response', 'must be that of the request', response)
}
