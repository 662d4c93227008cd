/** What the agents keep with each of their connections. */
import type * as http from 'node:http'
import type * as net from 'node:net'
import type { Duplex } from 'node:stream'
import { handleOf } from '../../node/handle'
import type { Attempt } from './attempt'
import type { LookingHandle, WriteCallback } from './node'

export interface Connection {
  readonly socket: net.Socket
  /** The name that the agent keeps it under. */
  readonly name: string
  /** What the agent made it with, once it has been free. */
  options: http.ClientRequestArgs | undefined
  /** What Node's own getName() makes of that, once it was asked. */
  agentName: string | undefined
  /** When its last request was over, by `performance.now()`. */
  freeSince: number
  /** When an idle connection is given up, likewise. */
  expiresAt: number
  /** The agent was destroyed. */
  abandoned: boolean
  /** The request on it, while it can be sent again. */
  attempt: Attempt | undefined
  /** Whether Node looks at the connection too; undefined while it has not been free. */
  nodeLooks: boolean | undefined
}

const kConnection = Symbol('socket-tuner http connection')

interface Kept {
  [kConnection]?: Connection
}

/** undefined for a stream that is none of the agents' connections. */
export function connectionOf(socket: Duplex): Connection | undefined {
  return (socket as Kept)[kConnection]
}

/** Begins to keep a connection. */
export function keep(socket: net.Socket, name: string): Connection {
  return ((socket as Kept)[kConnection] = {
    socket,
    name,
    options: undefined,
    agentName: undefined,
    freeSince: -Infinity,
    expiresAt: Infinity,
    abandoned: false,
    attempt: undefined,
    nodeLooks: undefined,
  })
}

/**
 * Hears of it when Node's agent finds input, a FIN or a RST in the kernel before it uses a connection
 * again, and destroys that. Later releases of Node do (22.23.5, 24.22.3, 26.12.1), earlier ones do not.
 *
 * @returns whether this Node looks
 */
export function hearOfLooks({ socket }: Connection, foundDead: () => void): boolean {
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

/**
 * Takes the request back from a connection that fails, if that can be, and hands it on when the
 * connection is closed, before the agent hears of it.
 */
export function watch(
  connection: Connection,
  handOn: (request: http.ClientRequest, error: Error) => void,
): void {
  const { socket } = connection
  const { write, destroy } = socket as Methods

  const takeBack = (error: Error): void => {
    const { attempt } = connection
    connection.attempt = undefined
    const request = attempt?.takeBack(socket)
    if (request === undefined) return
    socket.prependListener('close', () => {
      handOn(request, error)
    })
  }
  const leave = (): void => {
    connection.attempt?.end()
    connection.attempt = undefined
  }

  socket.write = (
    data: string | Uint8Array,
    encoding?: Encoding | WriteCallback,
    callback?: WriteCallback | null,
  ): boolean => {
    const { attempt } = connection
    if (attempt === undefined || typeof encoding === 'function')
      return write.call(socket, data, encoding, callback)
    return write.call(socket, data, encoding, attempt.wrote(data, encoding, callback))
  }

  // At once: what a request writes between this and the 'error' would be lost.
  socket.destroy = (error) => {
    if (connection.attempt !== undefined && !socket.destroyed) {
      if (isFailure(error)) takeBack(error)
      else leave()
    }
    return destroy.call(socket, error)
  }

  socket.prependListener('end', () => {
    if (connection.attempt !== undefined) takeBack(hangUp())
  })
  socket.prependListener('agentRemove', leave)
}

type Encoding = BufferEncoding | null

/** The methods of a net.Socket as the http client calls them. */
interface Methods {
  readonly write: (
    data: string | Uint8Array,
    encoding?: Encoding | WriteCallback,
    callback?: WriteCallback | null,
  ) => boolean
  readonly destroy: (error?: Error) => net.Socket
}

/** Whether the connection failed: the program destroys a socket for reasons of its own. */
function isFailure(error: Error | undefined): error is NodeJS.ErrnoException {
  const { errno, syscall } = (error ?? {}) as NodeJS.ErrnoException
  return typeof errno === 'number' && (syscall === 'read' || syscall === 'write')
}

/** As Node's own for a connection that ended before an answer. */
function hangUp(): NodeJS.ErrnoException {
  return Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' })
}
