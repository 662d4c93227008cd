/**
 * The parts of Node's http client and its agents that its typings and documentation leave out. They are
 * the same in Node 20 to 26, where nothing else is said.
 */
import type * as http from 'node:http'
import type * as net from 'node:net'
import type { Duplex } from 'node:stream'
import { handleOf, type Handle } from './handle'

export type WriteCallback = (error?: Error | null) => void

/** What a request has written and its socket has not. */
export interface Output {
  readonly data: string | Uint8Array
  readonly encoding: BufferEncoding | null | undefined
  readonly callback: WriteCallback | null | undefined
}

interface RequestParts {
  readonly destroyed: boolean
  /** The response, once its head is there. */
  readonly res: http.IncomingMessage | null
  /** The request's head as it is sent; null before it is known. */
  readonly _header: string | null
  socket: net.Socket | null
  parser: unknown
  reusedSocket: boolean
  outputData: Output[]
  outputSize: number
  /** Set while the request listens to its socket's 'timeout'. */
  timeoutCb: unknown
  /** Its own, ms; undefined where it has none. */
  readonly timeout: number | undefined
  setTimeout(ms: number): unknown
  /** Gives the request its socket, or the error that there is none. */
  onSocket: (this: RequestParts, socket: net.Socket | null, error?: Error) => void
}

function partsOf(request: http.ClientRequest): RequestParts {
  return request as unknown as RequestParts
}

/** A socket in the hands of the http client. */
interface BusySocket {
  /** The request that it works for; null while an agent keeps it without one. */
  _httpMessage?: object | null
}

/**
 * The request that a socket works for. In an agent's 'free' it is the one that has ended, until the agent
 * decides to keep the socket; a request that waited for the socket has it one tick later.
 */
export function requestOn(socket: Duplex): http.ClientRequest | undefined {
  const request = (socket as BusySocket)._httpMessage as http.ClientRequest | null | undefined
  return request ?? undefined
}

/** Whether an agent keeps the socket without a request. */
export function isKept(socket: Duplex): boolean {
  return (socket as BusySocket)._httpMessage === null
}

/** The answer to a request, once its head is there. */
export function answerTo(request: http.ClientRequest): http.IncomingMessage | undefined {
  return partsOf(request).res ?? undefined
}

/** The head of a request as it is sent; empty before it is known. */
export function headOf(request: http.ClientRequest): string {
  return partsOf(request)._header ?? ''
}

/**
 * Takes a request without an answer from its socket. Then the request is as it was before it had one, and
 * `output` waits to be written before what waits already.
 *
 * The listeners of the http client stay on the socket: they free the parser and close the socket, and
 * what they have to say goes to a stand-in.
 *
 * @param size of `output`, as Node counts it: UTF-16 units of strings, else bytes
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

/** What the http client's listeners on a socket want of a request that has had its error already. */
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

/** Fails a request that has no socket; without an error, one that was destroyed. */
export function failWithoutSocket(request: http.ClientRequest, error: Error | undefined): void {
  partsOf(request).onSocket(null, error)
}

/** Has `action` called once in place of the request being given its next socket. */
export function insteadOfSocket(request: http.ClientRequest, action: () => void): void {
  const parts = partsOf(request)
  const { onSocket } = parts
  parts.onSocket = () => {
    parts.onSocket = onSocket
    action()
  }
}

/** The `timeout` that a request was made with, ms. */
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
 * Has `callbackFor` called for each write to a socket.
 *
 * @param callbackFor returns the callback that the socket gets
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
    // The http client does not call it so.
    if (typeof encoding === 'function') return write.call(socket, data, encoding, callback)
    return write.call(socket, data, encoding, callbackFor(data, encoding, callback))
  }
}

/** Has `before` called first in each destroy() of a socket. */
export function beforeDestroy(
  socket: net.Socket,
  before: (error: Error | undefined) => void,
): void {
  const methods = socket as SocketMethods
  const { destroy } = methods
  methods.destroy = (error) => {
    before(error)
    return destroy.call(socket, error)
  }
}

interface LookingHandle extends Handle {
  /** Input, a FIN or a RST is in the kernel. */
  hasPendingRead?: (...args: readonly unknown[]) => boolean
}

/**
 * Has `foundDead` called when Node's agent finds input, a FIN or a RST in the kernel before it uses a
 * connection again, and destroys that. Later releases of Node do (22.23.5, 24.22.3, 26.12.1), earlier ones
 * do not.
 *
 * @returns whether this Node looks
 */
export function followLooks(socket: net.Socket, foundDead: () => void): boolean {
  const handle = handleOf(socket) as LookingHandle | undefined
  const hasPendingRead = handle?.hasPendingRead
  if (handle === undefined || typeof hasPendingRead !== 'function') return false
  handle.hasPendingRead = (...args) => {
    const pending = hasPendingRead.call(handle, ...args)
    if (pending) foundDead()
    return pending
  }
  return true
}

/** As typed by Node, which with an error calls it without a stream. */
export type ConnectionCallback = (error: Error | null, stream: Duplex) => void

export interface AgentMethods {
  /** In all its forms. */
  createConnection(...args: unknown[]): Duplex | null | undefined
  /** Called for each request; in its oldest form with host, port and local address. */
  addRequest(
    request: http.ClientRequest,
    options: http.ClientRequestArgs,
    port?: unknown,
    localAddress?: unknown,
  ): void
  /** Called for each connection that the agent needs. */
  createSocket(
    request: http.ClientRequest,
    options: http.ClientRequestArgs,
    callback: ConnectionCallback,
  ): void
}

export interface AgentParts extends AgentMethods {
  /** Requests that wait for a connection, by its name. */
  readonly requests: Record<string, http.ClientRequest[] | undefined>
  readonly sockets: Record<string, Duplex[] | undefined>
  /** Idle connections by name. */
  readonly freeSockets: Record<string, Duplex[] | undefined>
  readonly keepAlive: boolean
  /** What is added to each request's options. */
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
 * Has `before` and `after` called around what an agent does with a connection that is free: it gives
 * it to a request that waits, keeps it, or closes it.
 */
export function aroundFree<T>(
  agent: http.Agent,
  before: (socket: Duplex, options: http.ClientRequestArgs) => T,
  after: (socket: Duplex, known: T) => void,
): void {
  const listeners = agent.listeners('free') as FreeListener[]
  // In place of the agent's own: with a second listener, each event would cost twice as much.
  agent.removeAllListeners('free')
  agent.on('free', (socket: Duplex, options: http.ClientRequestArgs) => {
    const known = before(socket, options)
    for (const own of listeners) own.call(agent, socket, options)
    after(socket, known)
  })
}

/** Has `action` called when a connection is free, after the agent has decided what becomes of it. */
export function afterFree(agent: http.Agent, action: (socket: net.Socket) => void): void {
  agent.on('free', action)
}

/** Has `action` called when an agent leaves the connection to somebody else, as it does for an upgrade. */
export function whenLeft(socket: net.Socket, action: () => void): void {
  socket.prependListener('agentRemove', action)
}

/** Has `action` called with what createConnection() of an agent returns, whoever calls it. */
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
