/** Applies the rules of the keep-alive race to undici's sockets. */
import type * as net from 'node:net'
import { interceptDestroy } from '../../node/intercept'
import { followReferences } from '../../node/references'
import { isCutOff, readBeforeFailing } from '../sockets/early-answers'
import { isUsable } from '../sockets/idle'
import {
  FRESH_MS,
  idleLimit,
  isConnectionFailure,
  isConversation,
  isIdempotent,
  MARGIN_MS,
  MOST_SENT_AGAIN,
  type ReuseCounters,
} from '../sockets/reuse'
import {
  bodyBytes,
  followRequests,
  InformationalError,
  isIdleTimeout,
  isInputEnd,
  keepAliveOf,
  type UndiciRequest,
} from './parts'

const kConnection = Symbol('socket-tuner undici connection')
const kAgain = Symbol('socket-tuner undici request, written again')

/** The properties set on a socket, and on each request that was written to it. */
interface Kept {
  [kConnection]?: KeptConnection
  /** The request was written to another connection before. */
  [kAgain]?: boolean
}

/** Where a connection of a connector with `minIdle` goes to. */
export interface FollowedOrigin {
  /** The connection was idle before its first request. */
  readonly wasIdle: boolean
  readonly requested: () => void
  /** @param limitMs how long the server keeps an idle connection */
  readonly answered: (limitMs: number) => void
}

let isFollowing = false

/**
 * Follows the requests on an HTTP/1 connection of undici, from the first one on. Does nothing with a release of undici
 * that publishes no events about its requests.
 */
export function follow(
  socket: net.Socket,
  counters: ReuseCounters,
  retries: boolean,
  origin?: FollowedOrigin,
): void {
  ;(socket as Kept)[kConnection] = new KeptConnection(socket, counters, retries, origin)
  if (isFollowing) return
  isFollowing = true
  followRequests({
    written: (request: UndiciRequest & Kept, head, to: Kept) => {
      const connection = to[kConnection]
      if (connection === undefined) return
      if (request[kConnection] !== undefined) request[kAgain] = true
      request[kConnection] = connection
      connection.written(request, head)
    },
    answered: (request: UndiciRequest & Kept, fields) => {
      request[kConnection]?.answered(fields)
    },
    failed: (request: UndiciRequest & Kept) => {
      // Aborted by its caller. Some callers then destroy only the first connection that it was written to.
      if (request[kAgain] === true) request[kConnection]?.giveUp()
    },
  })
}

class KeptConnection {
  readonly #socket: net.Socket
  readonly #counters: ReuseCounters
  readonly #retries: boolean
  readonly #origin: FollowedOrigin | undefined
  /** The latest request. When it is complete, all earlier ones are. */
  #newest: UndiciRequest | undefined
  /** The oldest request without an answer. */
  #oldest: UndiciRequest | undefined
  /** The head of the oldest request. */
  #head = ''
  /** The bytes read before the oldest was written. If there are more, an answer has begun. */
  #bytesRead = 0
  /** The oldest was written to a connection that was idle before. */
  #isReused = false
  #hasAnswered = false
  /** By `performance.now()`. */
  #freeSince = -Infinity
  /** How long the server keeps it idle, less a margin, ms. */
  #limitMs = Infinity
  #lastHeader: Uint8Array | undefined
  #isLookedAt = false

  constructor(
    socket: net.Socket,
    counters: ReuseCounters,
    retries: boolean,
    origin: FollowedOrigin | undefined,
  ) {
    this.#socket = socket
    this.#origin = origin
    this.#counters = counters
    this.#retries = retries
    readBeforeFailing(socket, (error) => isCutOff(error) || this.#isLeft())
    interceptDestroy(socket, (error) => (socket.destroyed ? error : this.#errorFor(error)))
    // undici references a socket while it has requests, and unreferences it while it is idle.
    followReferences(
      socket,
      () => {
        this.#wanted()
      },
      () => {
        this.#freeSince = performance.now()
        this.#isLookedAt = false
      },
    )
  }

  /** A request is about to use the idle connection. Which request is not known yet. */
  #wanted(): void {
    if (this.#newest?.completed !== true || this.#socket.destroyed) return
    const freeMs = performance.now() - this.#freeSince
    if (freeMs >= this.#limitMs) {
      this.#counters.expired++
      this.#giveUp('its server is about to close it')
    } else if (this.#socket.writableLength > 0) {
      // The last answer came before its request was completely written.
      this.#passOver()
    } else if (freeMs >= FRESH_MS) {
      this.#isLookedAt = true
      if (!isUsable(this.#socket)) this.#passOver()
    }
  }

  /** A request is about to be written. */
  written(request: UndiciRequest, head: string): void {
    const isIdle = this.#newest === undefined || this.#newest.completed
    if (isIdle) {
      const isRepeated = this.#retries && isIdempotent(request.method)
      const mustPass = this.#hasAnswered && !this.#isLookedAt && !isRepeated
      // A streamed body would be lost: undici reads it while it sends.
      if (mustPass && bodyBytes(request) !== undefined && !isUsable(this.#socket)) {
        this.#passOver()
        return
      }
      this.#oldest = request
      this.#head = head
      this.#bytesRead = this.#socket.bytesRead
      this.#isReused = this.#hasAnswered || this.#origin?.wasIdle === true
    }
    this.#origin?.requested()
    this.#newest = request
    this.#isLookedAt = false
    if (this.#hasAnswered) this.#counters.reused++
  }

  /** An answer has begun, with these fields in its head. */
  answered(fields: readonly Uint8Array[]): void {
    const isFirst = !this.#hasAnswered
    this.#hasAnswered = true
    const header = keepAliveOf(fields)
    // A server sends the same each time.
    if (!isSame(header, this.#lastHeader)) {
      const text = header && Buffer.from(header)
      this.#lastHeader = text
      this.#limitMs = idleLimit(text?.toString('latin1'), MARGIN_MS)
    } else if (!isFirst) return
    this.#origin?.answered(this.#limitMs)
  }

  giveUp(): void {
    if (!this.#socket.destroyed) this.#giveUp('its request was given up')
  }

  /** Closes the connection, so that undici writes the waiting requests to another one. */
  #giveUp(reason: string, cause?: Error): void {
    this.#socket.destroy(
      new InformationalError(`The connection is not used any more: ${reason}`, { cause }),
    )
  }

  #passOver(): void {
    this.#counters.deadBeforeReuse++
    this.#giveUp('its server has closed it')
  }

  /** The error with which the socket is destroyed. It decides which requests undici fails. */
  #errorFor(error: Error | undefined): Error | undefined {
    if (isIdleTimeout(error)) {
      if (this.#limitMs !== Infinity) this.#counters.expired++
      return error
    }
    const hasFailed = isConnectionFailure(error)
    if (this.#newest === undefined || !(hasFailed || isInputEnd(error)) || this.#isLeft())
      return error
    // The waiting requests have not been written.
    if (this.#newest.completed)
      return hasFailed
        ? new InformationalError('The idle connection failed', { cause: error })
        : error
    if (!this.#mayBeSentAgain()) return error
    this.#counters.retried++
    return new InformationalError('The idle connection failed before an answer', { cause: error })
  }

  #mayBeSentAgain(): boolean {
    const oldest = this.#oldest
    return (
      oldest !== undefined &&
      !oldest.completed &&
      !oldest.aborted &&
      this.#isReused &&
      this.#socket.bytesRead === this.#bytesRead &&
      this.#canBeSentAgain(oldest, this.#head)
    )
  }

  #canBeSentAgain(request: UndiciRequest, head: string): boolean {
    if (!this.#retries || !isIdempotent(request.method) || isConversation(head)) return false
    const size = head.length + (bodyBytes(request) ?? Infinity)
    return size <= MOST_SENT_AGAIN
  }

  /** Whether undici passed the socket to its caller, or will do so if the server agrees. No request follows then. */
  #isLeft(): boolean {
    return this.#newest?.method === 'CONNECT' || isConversation(this.#head)
  }
}

function isSame(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  if (one === undefined || other === undefined) return one === other
  if (one.length !== other.length) return false
  for (let at = 0; at < one.length; at++) if (one[at] !== other[at]) return false
  return true
}
