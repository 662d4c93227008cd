/** What the agents keep with each of their connections. */
import type * as http from 'node:http'
import type * as net from 'node:net'
import type { Duplex } from 'node:stream'
import { beforeDestroy, interceptWrites, whenLeft } from '../../node/http-client'
import type { Attempt } from './attempt'

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
 * Takes the request back from a connection that fails, if that can be, and hands it on when the
 * connection is closed, before the agent hears of it.
 */
export function watch(
  connection: Connection,
  handOn: (request: http.ClientRequest, error: Error) => void,
): void {
  const { socket } = connection
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

  interceptWrites(socket, (data, encoding, own) => {
    const { attempt } = connection
    return attempt === undefined ? own : attempt.wrote(data, encoding, own)
  })

  // At once: what a request writes between this and the 'error' would be lost.
  beforeDestroy(socket, (error) => {
    if (connection.attempt === undefined || socket.destroyed) return
    if (isFailure(error)) takeBack(error)
    else leave()
  })

  socket.prependListener('end', () => {
    if (connection.attempt !== undefined) takeBack(hangUp())
  })
  whenLeft(socket, leave)
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
