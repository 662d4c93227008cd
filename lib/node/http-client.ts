/**
 * The undocumented parts of Node's http client and its agents. They are the same in Node 20 to 26 unless a comment
 * says otherwise.
 */
import type * as http from 'node:http'
import type * as net from 'node:net'
import type { Duplex } from 'node:stream'
import { handleOf, type Handle } from './handle'

export type WriteCallback = (error?: Error | null) => void

/** Data that a request has written and its socket has not. */
export interface Output {
  readonly data: string | Uint8Array
  readonly encoding: BufferEncoding | null | undefined
  readonly callback: WriteCallback | null | undefined
}

interface RequestParts {
  readonly destroyed: boolean
  /** The response, once its head has arrived. */
  readonly res: http.IncomingMessage | null
  /** The head of the request as it is sent; null before it is complete. */
  readonly _header: string | null
  socket: net.Socket | null
  parser: unknown
  reusedSocket: boolean
  outputData: Output[]
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
interface BusySocket {
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
  output: readonly Output[],
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

/** The methods of a net.Socket as the http client calls them. */
interface SocketMethods {
  write: (
    data: string | Uint8Array,
    encoding?: BufferEncoding | null | WriteCallback,
    callback?: WriteCallback | null,
  ) => boolean
  destroy: (error?: Error) => net.Socket
}

/**
 * Calls `callbackFor` for each write to a socket.
 *
 * @param callbackFor returns the callback for the write
 */
export function interceptWrites(
  socket: net.Socket,
  callbackFor: (
    data: Output['data'],
    encoding: Output['encoding'],
    callback: Output['callback'],
  ) => Output['callback'],
): void {
  const methods = socket as SocketMethods
  const { write } = methods
  methods.write = (data, encoding, callback) => {
    // The http client never calls it this way.
    if (typeof encoding === 'function') return write.call(socket, data, encoding, callback)
    return write.call(socket, data, encoding, callbackFor(data, encoding, callback))
  }
}

const kIntercepted: unique symbol = Symbol('socket-tuner destroy')

/** The method that destroy() replaced, and the functions that choose its error, the latest first. */
interface Interception {
  readonly destroy: SocketMethods['destroy']
  readonly errorsFor: ((error: Error | undefined) => Error | undefined)[]
}

interface Intercepted extends SocketMethods {
  [kIntercepted]?: Interception
}

/**
 * Calls `errorFor` at the start of each destroy() of a socket.
 *
 * @param errorFor returns the error that the socket is destroyed with
 */
export function interceptDestroy(
  socket: net.Socket,
  errorFor: (error: Error | undefined) => Error | undefined,
): void {
  const methods = socket as Intercepted
  const standing = methods[kIntercepted]
  if (standing !== undefined) {
    standing.errorsFor.unshift(errorFor)
    return
  }
  methods[kIntercepted] = { destroy: methods.destroy, errorsFor: [errorFor] }
  // The same function for all sockets: a closure of each would slow a busy client down.
  methods.destroy = destroyIntercepted
}

function destroyIntercepted(this: net.Socket, error?: Error): net.Socket {
  const { destroy, errorsFor } = (this as unknown as Record<typeof kIntercepted, Interception>)[
    kIntercepted
  ]
  let reason = error
  for (const errorFor of errorsFor) reason = errorFor(reason)
  return destroy.call(this, reason)
}

interface CheckedHandle extends Handle {
  /** Whether the kernel holds input, a FIN or a RST. */
  hasPendingRead?: (...args: readonly unknown[]) => boolean
}

/**
 * Calls `foundDead` when Node's agent checks a connection before reuse and finds input, a FIN or a RST in the kernel.
 * The agent then destroys the connection. Node checks from 22.23.5, 24.22.3 and 26.12.1 on.
 *
 * @returns whether this release of Node checks
 */
export function followChecks(socket: net.Socket, foundDead: () => void): boolean {
  const handle = handleOf(socket) as CheckedHandle | undefined
  const hasPendingRead = handle?.hasPendingRead
  if (handle === undefined || typeof hasPendingRead !== 'function') return false
  handle.hasPendingRead = (...args) => {
    const pending = hasPendingRead.call(handle, ...args)
    if (pending) foundDead()
    return pending
  }
  return true
}

/** The type in Node's declarations. With an error, Node calls it without a stream. */
export type ConnectionCallback = (error: Error | null, stream: Duplex) => void

export interface AgentMethods {
  /** With all its signatures. */
  createConnection(...args: unknown[]): Duplex | null | undefined
  /** Called for each request. Its oldest signature has host, port and local address. */
  addRequest(
    request: http.ClientRequest,
    options: http.ClientRequestArgs,
    port?: unknown,
    localAddress?: unknown,
  ): void
  /** Called for each new connection. */
  createSocket(
    request: http.ClientRequest,
    options: http.ClientRequestArgs,
    callback: ConnectionCallback,
  ): void
}

export interface AgentParts extends AgentMethods {
  /** Requests that wait for a connection, by the name of the connection. */
  readonly requests: Record<string, http.ClientRequest[] | undefined>
  readonly sockets: Record<string, Duplex[] | undefined>
  /** Idle connections by name. */
  readonly freeSockets: Record<string, Duplex[] | undefined>
  readonly keepAlive: boolean
  readonly maxSockets: number
  readonly maxFreeSockets: number
  readonly maxTotalSockets: number
  /** All connections, idle ones included. */
  readonly totalSocketCount: number
  readonly protocol: string
  readonly defaultPort: number
  /** Added to the options of each request. */
  readonly options: http.AgentOptions
}

export function agentPartsOf(agent: http.Agent): AgentParts {
  return agent as unknown as AgentParts
}

/** The methods that the agents of a class inherit. */
export function agentMethodsOf(Agent: { readonly prototype: http.Agent }): AgentMethods {
  return agentPartsOf(Agent.prototype)
}

type FreeListener = (this: http.Agent, socket: Duplex, options: http.ClientRequestArgs) => void

/**
 * Calls `before` and `after` around the agent's handling of a free connection, which the agent assigns to a waiting
 * request, keeps, or closes.
 */
export function aroundFree<T>(
  agent: http.Agent,
  before: (socket: Duplex, options: http.ClientRequestArgs) => T,
  after: (socket: Duplex, known: T) => void,
): void {
  const listeners = agent.listeners('free') as FreeListener[]
  // Replaces the agent's own listener: with a second one, each event would cost twice as much.
  agent.removeAllListeners('free')
  agent.on('free', (socket: Duplex, options: http.ClientRequestArgs) => {
    const known = before(socket, options)
    for (const own of listeners) own.call(agent, socket, options)
    after(socket, known)
  })
}

/**
 * Stands in for the request of a connection that an agent opens before it has one. Its destination must name the
 * server for TLS: the agent would derive that from the request.
 */
export const noRequest = { timeout: undefined } as unknown as http.ClientRequest

/** Passes a connection that had no request to its agent, as free. */
export function passToAgent(socket: net.Socket): void {
  // For a request that waits. An idle connection is unreferenced by the agent.
  socket.ref()
  ;(socket as BusySocket)._httpMessage = { shouldKeepAlive: true, res: null }
  socket.emit('free')
}

/** Calls `action` for a free connection after the agent has handled it. */
export function afterFree(agent: http.Agent, action: (socket: net.Socket) => void): void {
  agent.on('free', action)
}

/** Calls `action` when an agent gives a connection away, for example for an upgrade. */
export function whenLeft(socket: net.Socket, action: (this: net.Socket) => void): void {
  socket.prependListener('agentRemove', action)
}

/** Calls `action` after each addRequest() of an agent. */
export function afterAddRequest(agent: http.Agent, action: () => void): void {
  const parts: Pick<AgentMethods, 'addRequest'> = agentPartsOf(agent)
  const add = parts.addRequest
  parts.addRequest = (...args) => {
    add.apply(agent, args)
    action()
  }
}

/** Calls `action` with the result of each createConnection() of an agent. */
export function afterCreateConnection(
  agent: http.Agent,
  action: (stream: Duplex | null | undefined) => void,
): void {
  const parts: Pick<AgentMethods, 'createConnection'> = agentPartsOf(agent)
  const create = parts.createConnection
  parts.createConnection = (...args) => {
    const stream = create.apply(agent, args)
    action(stream)
    return stream
  }
}
