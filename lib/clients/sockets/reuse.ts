/**
 * The rules of the keep-alive race, the same for all clients: which connections are reused, and which requests are
 * repeated when an idle connection turns out to be dead.
 */

/** The counters of a client. */
export interface ReuseCounters {
  /** Connections that the client began to open. */
  created: number
  /** Requests on a connection that had carried an answer before. */
  reused: number
  /** Idle connections that a check before reuse found dead. */
  deadBeforeReuse: number
  /** Idle connections that were closed shortly before the time that their server had announced. */
  expired: number
  /** Requests that failed on an idle connection and were sent once more. */
  retried: number
  /** Connections that `minIdle` opened before a request needed them. They count as `created` too. */
  warmed: number
  /** Of these, the ones that carried a request. */
  warmedUsed: number
  /** Of these, the ones that ended unused: closed by the server, expired or found dead. */
  warmedLost: number
  /** Connections that `minIdle` could not open, or that the server closed within 1 s. */
  warmFailed: number
}

export function newCounters(): ReuseCounters {
  return {
    created: 0,
    reused: 0,
    deadBeforeReuse: 0,
    expired: 0,
    retried: 0,
    warmed: 0,
    warmedUsed: 0,
    warmedLost: 0,
    warmFailed: 0,
  }
}

/**
 * A connection that was free for less than this is not checked for a request that can be repeated, ms. The system call
 * would cost a busy client 4 % of its requests per second.
 */
export const FRESH_MS = 1

/** An idle connection is closed this long before the time that its server announced, ms. */
export const MARGIN_MS = 1000

/** The largest request that is repeated, head and body, bytes (UTF-16 units of a string). */
export const MOST_SENT_AGAIN = 65_536

/** RFC 9110 section 9.2.2. */
const idempotent: ReadonlySet<string | undefined> = new Set([
  'GET',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'PUT',
  'DELETE',
])

export function isIdempotent(method: string | undefined): boolean {
  return idempotent.has(method)
}

/** Headers of requests that wait for the server's consent. */
const conversation = /^(?:expect|upgrade):/im

/** Whether the head of a request, as it is sent, starts an exchange that cannot be repeated. */
export function isConversation(head: string): boolean {
  return conversation.test(head)
}

/**
 * How long a connection may be idle according to its server's Keep-Alive header (RFC 2068 section 19.7.1.1), ms.
 * Infinity without a limit; 0 or less if the connection cannot be reused.
 */
export function idleLimit(header: string | undefined, marginMs: number): number {
  const [, seconds] = /(?:^|[\s,;])timeout\s*=\s*"?(\d+)/i.exec(header ?? '') ?? []
  return seconds === undefined ? Infinity : Number(seconds) * 1000 - marginMs
}

/** Whether an error is one of the connection, not one with which the program or the client destroyed the socket. */
export function isConnectionFailure(error: Error | undefined): error is NodeJS.ErrnoException {
  const { errno, syscall } = (error ?? {}) as NodeJS.ErrnoException
  return typeof errno === 'number' && (syscall === 'read' || syscall === 'write')
}
