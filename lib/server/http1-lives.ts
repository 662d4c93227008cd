/**
 * Ends the HTTP/1 connections of a server without a lost request: by a response with `Connection: close`. The close
 * of an idle connection can cross with a request (RFC 9112 section 9.3.1), so a connection is closed only after it
 * has been silent for some time.
 */
import type * as http from 'node:http'
import type * as net from 'node:net'
import { native } from '../kernel/binding'
import { transportFd } from '../node/handle'
import { announceKeepAlive, LastAnswer } from '../node/http-connection-header'
import { awaitedAnswers, httpConnections, quietConnections } from '../node/http-connections'
import { speaksTls } from './connection-limits'
import { SHORTEST_ANNOUNCED_MS, type Life, type Lives } from './life'

/** The events by which an http server passes on a request. */
const requestEvents: readonly unknown[] = ['request', 'checkContinue', 'checkExpectation']

interface Http1Life extends Life {
  /** The response that ends the connection. */
  last: LastAnswer | undefined
  /** The bytes read and written when a check last saw them change, once the connection is due; -1 before. */
  bytes: number
  /** The time of that check. */
  quietSince: number
}

const kLife = Symbol('socket-tuner life')

interface Living {
  [kLife]?: Http1Life | undefined
}

type AnyListener = (...args: never[]) => void

export class Http1Lives {
  readonly #server: net.Server & { readonly keepAliveTimeout?: number }
  readonly #lives: Lives
  #isFollowing = false

  constructor(server: net.Server, lives: Lives) {
    this.#server = server
    this.#lives = lives
  }

  /** Begins to count requests and to end connections with their responses. */
  follow(): void {
    const server = this.#server
    if (this.#isFollowing) return
    this.#isFollowing = true
    server.prependListener(connectionEvent(server), this.#connection)
    // Only events that the application listens for: a listener for another one would change the server's behaviour.
    for (const event of requestEvents as string[])
      if (server.listenerCount(event) > 0) server.prependListener(event, this.#request)
    server.on('newListener', this.#added)
    server.on('removeListener', this.#removed)
  }

  stop(): void {
    const server = this.#server
    this.#isFollowing = false
    server.off('newListener', this.#added)
    server.off('removeListener', this.#removed)
    server.off(connectionEvent(server), this.#connection)
    for (const event of requestEvents as string[]) server.off(event, this.#request)
  }

  /** The lives of all open connections, without upgraded ones. */
  all(): Life[] {
    return httpConnections(this.#server).map((socket) => this.#lifeOf(socket))
  }

  /**
   * Retires the connections that are due. Busy ones are also checked at each request.
   *
   * @returns false if the runtime does not list its connections
   */
  retireDue(now: number): boolean {
    const server = this.#server
    const quiet = quietConnections(server)
    if (quiet === undefined) return false
    const { idleMs, unusedMs } = this.#lives.patience
    for (const socket of quiet.idle) this.#closeWhenSilent(socket, idleMs, now)
    for (const socket of quiet.unused) this.#closeWhenSilent(socket, unusedMs, now)
    for (const answer of awaitedAnswers(server)) {
      const { socket, shouldKeepAlive } = answer
      if (socket === null || !shouldKeepAlive) continue
      const life = this.#lifeOf(socket)
      if (life.way === undefined && now >= life.dueAt) this.#endWith(answer, life, life.dueBy)
    }
    return true
  }

  readonly #added = (event: unknown, listener: AnyListener): void => {
    if (!requestEvents.includes(event) || listener === this.#request) return
    const listeners = this.#server.listeners(event as string)
    if (!listeners.includes(this.#request))
      this.#server.prependListener(event as string, this.#request)
  }

  readonly #removed = (event: unknown, listener: AnyListener): void => {
    if (!requestEvents.includes(event) || listener === this.#request) return
    if (this.#server.listenerCount(event as string) === 1)
      this.#server.off(event as string, this.#request)
  }

  readonly #connection = (socket: net.Socket): void => {
    this.#lifeOf(socket)
  }

  readonly #request = (request: http.IncomingMessage, response: http.ServerResponse): void => {
    if (request.httpVersionMajor !== 1) return
    const life = this.#lifeOf(request.socket)
    life.requests++
    // The client has asked for the end of the connection, or another listener has responded.
    if (!response.shouldKeepAlive || response.headersSent) return
    if (life.last !== undefined) {
      // A pipelined request: its response becomes the last one, unless the head of the last one is already written.
      if (life.last.takeBack()) life.last = new LastAnswer(response)
      return
    }
    const now = performance.now()
    const reason = this.#lives.reasonFor(life, now)
    if (reason !== undefined) {
      this.#endWith(response, life, reason)
      return
    }
    const left = life.dueAt - now
    if (left < (this.#server.keepAliveTimeout ?? 0))
      announceKeepAlive(response, Math.max(left, SHORTEST_ANNOUNCED_MS))
  }

  #endWith(
    answer: http.ServerResponse,
    life: Http1Life,
    reason: 'age' | 'requests' | 'shutdown',
  ): void {
    life.last = new LastAnswer(answer)
    this.#lives.retire(life, reason, 'answer')
  }

  #closeWhenSilent(socket: net.Socket, ms: number, now: number): void {
    const life = this.#lifeOf(socket)
    if (now < life.dueAt) return
    const bytes = socket.bytesRead + socket.bytesWritten
    if (life.bytes !== bytes) {
      life.bytes = bytes
      life.quietSince = now
    } else if (now - life.quietSince >= ms && !hasInput(socket)) {
      if (life.way === undefined) this.#lives.retire(life, life.dueBy, 'idle')
      socket.destroy()
    }
  }

  #lifeOf(socket: net.Socket): Http1Life {
    const living = socket as net.Socket & Living
    const known = living[kLife]
    if (known !== undefined) return known
    const life = this.#lives.begin(performance.now())
    return (living[kLife] = { ...life, last: undefined, bytes: -1, quietSince: 0 })
  }
}

/** The event whose socket is the one of the requests. */
function connectionEvent(server: net.Server): 'secureConnection' | 'connection' {
  return speaksTls(server) ? 'secureConnection' : 'connection'
}

/** Whether the kernel holds unread input, to which a close would respond with a RST. */
function hasInput(socket: net.Socket): boolean {
  const fd = transportFd(socket)
  return fd >= 0 && native.unreadBytes(fd) > 0
}
