/** The connections that an agent opens for `minIdle`. */
import type * as http from 'node:http'
import type { Duplex } from 'node:stream'
import { SocketTunerError } from '../../errors'
import { agentPartsOf, noRequest, passToAgent, type AgentParts } from '../../node/http-agent'
import { isTls, tlsVersionOf } from '../../node/tls'
import { LEAD_MS, OPENED_WITHIN_MS, type IdleConnections } from '../sockets/min-idle'
import { agentConnectionOf, type AgentConnection } from './agent-connection'

type Opened = (error?: Error) => void

export class WarmConnections implements IdleConnections<http.ClientRequestArgs> {
  readonly #parts: AgentParts
  /** Counts the destroy() calls of the agent. */
  #era = 0

  constructor(agent: http.Agent) {
    this.#parts = agentPartsOf(agent)
  }

  idle(name: string): number {
    const now = performance.now()
    const lasting = (this.#parts.freeSockets[name] ?? []).filter(
      (socket) => !socket.destroyed && (agentConnectionOf(socket)?.expiresAt ?? 0) - now > LEAD_MS,
    )
    return lasting.length
  }

  room(name: string, opening: number): number {
    const parts = this.#parts
    // A request that waits goes first.
    if (Object.keys(parts.requests).length > 0) return 0
    const free = parts.freeSockets[name]?.length ?? 0
    return Math.min(
      parts.maxSockets - free - (parts.sockets[name]?.length ?? 0),
      parts.maxFreeSockets - free - opening,
      parts.maxTotalSockets - parts.totalSocketCount,
    )
  }

  open(name: string, destination: http.ClientRequestArgs, done: Opened): void {
    const era = this.#era
    this.#parts.createSocket(noRequest, destination, (error, socket: Duplex | undefined) => {
      const connection = socket && agentConnectionOf(socket)
      if (error !== null) done(error)
      else if (connection === undefined || era !== this.#era) {
        socket?.destroy()
        done(ended(name))
      } else {
        whenReady(connection, (failure) => {
          done(failure ?? this.#pass(connection))
        })
      }
    })
  }

  /** Passes a connection to the agent. Returns an error if the agent closes it. */
  #pass(connection: AgentConnection): Error | undefined {
    const { socket, name } = connection
    connection.isUnused = true
    if (this.#isStuck()) {
      giveUp(connection)
      return undefined
    }
    passToAgent(socket)
    if (!socket.destroyed) return undefined
    connection.isUnused = false
    return ended(name)
  }

  /** Called before the agent closes its connections. Those that are still being made are closed once they are open. */
  abandon(): void {
    this.#era++
    for (const socket of Object.values(this.#parts.freeSockets).flatMap((idle) => idle ?? [])) {
      const connection = agentConnectionOf(socket)
      if (connection?.isUnused === true) connection.expiresAt = -Infinity
    }
  }

  /**
   * Gives up an unused connection if a request waits for the first connection of its origin because of
   * `maxTotalSockets`. The agent opens a connection for the request when this one is closed.
   */
  makeWay(): void {
    if (!this.#isStuck()) return
    for (const socket of Object.values(this.#parts.freeSockets).flatMap((idle) => idle ?? [])) {
      const connection = agentConnectionOf(socket)
      if (connection?.isUnused !== true || socket.destroyed) continue
      giveUp(connection)
      return
    }
  }

  /** Whether a request waits for the first connection of its origin because of `maxTotalSockets`. */
  #isStuck(): boolean {
    const { requests, sockets, totalSocketCount, maxTotalSockets } = this.#parts
    if (totalSocketCount < maxTotalSockets) return false
    return Object.keys(requests).some((name) => (sockets[name]?.length ?? 0) === 0)
  }
}

/** Closes an unused connection, which is no failure of its server. */
function giveUp(connection: AgentConnection): void {
  connection.expiresAt = -Infinity
  connection.socket.destroy()
}

/** Calls `done` once, when a connection can carry a request or has failed. */
function whenReady({ socket, name }: AgentConnection, done: Opened): void {
  let failure: Error | undefined
  const timer = setTimeout(() => {
    socket.destroy(tooSlow(name))
  }, OPENED_WITHIN_MS).unref()
  const ready = (): void => {
    clearTimeout(timer)
    socket.off('close', closed)
    done()
  }
  const closed = (): void => {
    clearTimeout(timer)
    done(failure ?? ended(name))
  }
  // It stays: a request that gets the connection adds its own listener one tick later.
  socket.on('error', (error) => {
    failure = error
  })
  socket.once('close', closed)
  socket.unref()
  const isSecure = isTls(socket)
  if (isSecure ? tlsVersionOf(socket) !== undefined : !socket.connecting) ready()
  else socket.once(isSecure ? 'secureConnect' : 'connect', ready)
}

function tooSlow(name: string): Error {
  const message = `The connection to ${name} was not open after ${String(OPENED_WITHIN_MS)} ms`
  return Object.assign(new Error(message), { code: 'ETIMEDOUT', syscall: 'connect' })
}

function ended(name: string): SocketTunerError {
  return new SocketTunerError(`The connection to ${name} ended before it was ready`, {
    code: 'ERR_SOCKET_TUNER_DESTROYED',
    syscall: 'connect',
  })
}
