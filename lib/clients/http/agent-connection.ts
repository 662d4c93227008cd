/** The state that the agents keep for each connection. */
import type * as http from 'node:http'
import type * as net from 'node:net'
import type { Duplex } from 'node:stream'
import { whenLeft } from '../../node/http-agent'
import { answerTo, requestOn } from '../../node/http-request'
import { interceptDestroy, interceptWrites } from '../../node/intercept'
import { isCutOff, readBeforeFailing } from '../sockets/early-answers'
import { isConnectionFailure } from '../sockets/reuse'
import type { RepeatableRequest } from './repeatable-request'

export interface AgentConnection {
  readonly socket: net.Socket
  /** The name under which the agent stores the connection. */
  readonly name: string
  /** The options of the connection, known once it was free. */
  options: http.ClientRequestArgs | undefined
  /** The result of Node's getName() for these options, once it was called. */
  agentName: string | undefined
  /** When its last request was over, by `performance.now()`. */
  freeSince: number
  /** When an idle connection is closed, by `performance.now()`. */
  expiresAt: number
  /** The agent was destroyed. */
  abandoned: boolean
  /** The request on it, while it can be repeated. */
  repeatable: RepeatableRequest | undefined
  /** Whether Node checks the connection too; undefined until it was free for the first time. */
  nodeChecks: boolean | undefined
  /** The agent has given the connection away, for example for an upgrade. */
  isLeft: boolean
  /** `minIdle` opened the connection, and it is idle without having had a request. */
  isUnused: boolean
}

const kConnection = Symbol('socket-tuner http connection')

interface WithState {
  [kConnection]?: AgentConnection
}

/** The state of a connection; undefined for any other stream. */
export function agentConnectionOf(socket: Duplex): AgentConnection | undefined {
  return (socket as WithState)[kConnection]
}

/** Attaches a state to a new connection. */
export function keep(socket: net.Socket, name: string): AgentConnection {
  return ((socket as WithState)[kConnection] = {
    socket,
    name,
    options: undefined,
    agentName: undefined,
    freeSince: -Infinity,
    expiresAt: Infinity,
    abandoned: false,
    repeatable: undefined,
    nodeChecks: undefined,
    isLeft: false,
    isUnused: false,
  })
}

/**
 * Lets a request get the answer that its server sent before it closed, even if the request could not be written to
 * its end. Suppresses errors of the connection after a complete answer.
 */
export function answerFirst(connection: AgentConnection): void {
  const { socket } = connection
  whenLeft(socket, left)
  readBeforeFailing(
    socket,
    (error) => connection.isLeft || (isCutOff(error) && answerOn(socket) !== undefined),
  )
  interceptDestroy(socket, (error) => {
    if (error === undefined || connection.isLeft || !isConnectionFailure(error)) return error
    return answerOn(socket)?.complete === true ? undefined : error
  })
}

function left(this: net.Socket): void {
  const connection = agentConnectionOf(this)
  if (connection !== undefined) connection.isLeft = true
}

/** The answer on a connection, once its head has arrived. */
function answerOn(socket: net.Socket): http.IncomingMessage | undefined {
  const request = requestOn(socket)
  return request === undefined ? undefined : answerTo(request)
}

/**
 * Takes the request back from a connection that fails, if it can be repeated. Passes it to `handOn` when the
 * connection is closed, before the agent is notified.
 */
export function watch(
  connection: AgentConnection,
  handOn: (request: http.ClientRequest, error: Error) => void,
): void {
  const { socket } = connection
  const takeBack = (error: Error): void => {
    const { repeatable } = connection
    connection.repeatable = undefined
    const request = repeatable?.takeBack(socket)
    if (request === undefined) return
    socket.prependListener('close', () => {
      handOn(request, error)
    })
  }
  const leave = (): void => {
    connection.repeatable?.end()
    connection.repeatable = undefined
  }

  interceptWrites(socket, (data, encoding, own) => {
    const { repeatable } = connection
    return repeatable === undefined ? own : repeatable.wrote(data, encoding, own)
  })

  // Must not wait for 'error': writes of the request in between would be lost.
  interceptDestroy(socket, (error) => {
    if (connection.repeatable === undefined || socket.destroyed) return error
    if (isConnectionFailure(error)) takeBack(error)
    else leave()
    return error
  })

  socket.prependListener('end', () => {
    if (connection.repeatable !== undefined) takeBack(hangUp())
  })
  whenLeft(socket, leave)
}

/** The error that Node reports for a connection that ended before an answer. */
function hangUp(): NodeJS.ErrnoException {
  return Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' })
}
