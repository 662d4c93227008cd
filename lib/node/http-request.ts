/**
 * The undocumented parts of a request of Node's http client, and of the socket that it is on. They are the same in Node 20
 * to 26.
 */
import type * as http from 'node:http'
import type * as net from 'node:net'
import type { Duplex } from 'node:stream'
import type { Write } from './intercept'

interface RequestParts {
  readonly destroyed: boolean
  /** The response, once its head has arrived. */
  readonly res: http.IncomingMessage | null
  /** The head of the request as it is sent; null before it is complete. */
  readonly _header: string | null
  socket: net.Socket | null
  parser: unknown
  reusedSocket: boolean
  /** Data that the request has written and its socket has not. */
  outputData: Write[]
  outputSize: number
  /** Set while the request listens to its socket's 'timeout'. */
  timeoutCb: unknown
  /** The timeout of the request itself, ms; undefined if it has none. */
  readonly timeout: number | undefined
  setTimeout(ms: number): unknown
  /** Assigns a socket to the request, or fails it with an error. */
  onSocket: (this: RequestParts, socket: net.Socket | null, error?: Error) => void
}

function partsOf(request: http.ClientRequest): RequestParts {
  return request as unknown as RequestParts
}

/** A socket that the http client uses. */
export interface BusySocket {
  /** The request on the socket; null while an agent keeps it idle. */
  _httpMessage?: object | null
}

/**
 * The request on a socket. During an agent's 'free' it is the request that has ended, until the agent decides to keep
 * the socket. A waiting request gets the socket one tick later.
 */
export function requestOn(socket: Duplex): http.ClientRequest | undefined {
  const request = (socket as BusySocket)._httpMessage as http.ClientRequest | null | undefined
  return request ?? undefined
}

/** Whether an agent keeps the socket idle. */
export function isKept(socket: Duplex): boolean {
  return (socket as BusySocket)._httpMessage === null
}

/** The response to a request, once its head has arrived. */
export function answerTo(request: http.ClientRequest): http.IncomingMessage | undefined {
  return partsOf(request).res ?? undefined
}

/** The head of a request as it is sent; empty before it is complete. */
export function headOf(request: http.ClientRequest): string {
  return partsOf(request)._header ?? ''
}

/**
 * Detaches a request without a response from its socket. The request is then in the state that it had before it got
 * a socket, with `output` in front of its unwritten data.
 *
 * The listeners of the http client stay on the socket, to free the parser and close the socket. They get a stand-in
 * instead of the request.
 *
 * @param size the size of `output` as Node counts it: UTF-16 units for strings, otherwise bytes
 */
export function takeFromSocket(
  request: http.ClientRequest,
  socket: net.Socket,
  output: readonly Write[],
  size: number,
): void {
  const parts = partsOf(request)
  ;(socket as BusySocket)._httpMessage = standIn()
  parts.socket = null
  parts.parser = null
  parts.reusedSocket = false
  parts.outputData = [...output, ...parts.outputData]
  parts.outputSize += size
  if (parts.timeoutCb === null) return
  parts.timeoutCb = null
  parts.setTimeout(socket.timeout ?? 0)
}

/** A stand-in with the members that the http client's listeners need, for a request that has already failed. */
function standIn(): object {
  return {
    res: null,
    socket: { _hadError: true },
    outputData: [],
    destroyed: true,
    finished: true,
    emit: () => false,
  }
}

/** Fails a request without a socket. @param error undefined for a request that was destroyed */
export function failWithoutSocket(request: http.ClientRequest, error: Error | undefined): void {
  partsOf(request).onSocket(null, error)
}

/** Calls `action` once instead of assigning the next socket to the request. */
export function insteadOfSocket(request: http.ClientRequest, action: () => void): void {
  const parts = partsOf(request)
  const { onSocket } = parts
  parts.onSocket = () => {
    parts.onSocket = onSocket
    action()
  }
}

/** The `timeout` option of a request, ms. */
export function timeoutOf(request: http.ClientRequest): number | undefined {
  return partsOf(request).timeout
}
