/**
 * Ends the HTTP/2 sessions of a server as RFC 9113 section 6.8 describes: first a GOAWAY that refuses no stream, then
 * one with the last stream after the client has answered a PING. By then the client opens no more streams.
 */
import type * as http2 from 'node:http2'
import type * as net from 'node:net'
import type { Life, Lives } from './life'

const NO_ERROR = 0
const GREATEST_STREAM = 2 ** 31 - 1
/**
 * The longest wait for the answer to the PING. If GOAWAY arrives together with the end of its last stream, Node's own
 * client neither answers nor closes: it waits for the server's FIN.
 */
const PING_MS = 2_000

export class Http2Lives {
  readonly #lives: Lives
  readonly #server: net.Server
  readonly #sessions = new Map<http2.Http2Session, Life>()

  /** Only sessions that begin after this are known. */
  constructor(server: net.Server, lives: Lives) {
    this.#server = server
    this.#lives = lives
    server.on('session', (session: http2.Http2Session) => {
      this.#sessions.set(session, lives.begin(performance.now()))
      session.once('close', () => this.#sessions.delete(session))
    })
  }

  /** Begins to count streams if their number is limited. */
  follow(): void {
    this.stop()
    if (this.#lives.limits.maxRequests !== undefined)
      this.#server.prependListener('stream', this.#stream)
  }

  stop(): void {
    this.#server.off('stream', this.#stream)
  }

  all(): Life[] {
    return [...this.#sessions.values()]
  }

  /** Retires the sessions that are due. */
  retireDue(now: number): void {
    for (const [session, life] of this.#sessions) this.#retireWhenDue(session, life, now)
  }

  /** Destroys all sessions, busy or not. */
  destroy(): void {
    for (const session of this.#sessions.keys()) session.destroy()
  }

  readonly #stream = ({ session }: http2.ServerHttp2Stream): void => {
    const life = session === undefined ? undefined : this.#sessions.get(session)
    if (session === undefined || life === undefined) return
    life.requests++
    this.#retireWhenDue(session, life, performance.now())
  }

  #retireWhenDue(session: http2.Http2Session, life: Life, now: number): void {
    if (life.way !== undefined) return
    const reason = this.#lives.reasonFor(life, now)
    // The client or the application may already be ending the session.
    if (reason === undefined || session.closed || session.destroyed) return
    this.#lives.retire(life, reason, 'goaway')
    session.goaway(NO_ERROR, GREATEST_STREAM)
    // close() lets open streams finish.
    const close = (): void => {
      session.close()
    }
    session.ping(close)
    setTimeout(close, PING_MS).unref()
  }
}
