/** The undocumented parts of the agents of Node's http client. They are the same in Node 20 to 26 unless a comment says otherwise. */
import type * as http from 'node:http'
import type * as net from 'node:net'
import type { Duplex } from 'node:stream'
import { handleOf, type Handle } from './handle'
import type { BusySocket } from './http-request'

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
