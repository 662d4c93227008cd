import type * as http from 'node:http'
import type * as http2 from 'node:http2'
import type * as net from 'node:net'
import { stopListening } from '../node/http-connections'
import { closeIdle } from './idle-connections'

/** The events with which an http server gives out a request. */
const REQUESTS = ['request', 'checkContinue', 'checkExpectation'] as const

/**
 * The end of a server's work without an error at any client: it accepts no more, what it has accepted
 * it serves, and each connection ends where its protocol lets it.
 *
 * A kept-alive HTTP connection is told `Connection: close` with its next answer, and is closed when no
 * request comes for a part of the time.
 */
export class Retirement {
  readonly #server: net.Server
  readonly #sessions = new Set<http2.Http2Session>()

  constructor(server: net.Server) {
    this.#server = server
    server.on('session', (session: http2.Http2Session) => {
      this.#sessions.add(session)
      session.once('close', () => this.#sessions.delete(session))
    })
  }

  /** Resolves when the last connection is closed. */
  async run(timeoutMs: number): Promise<void> {
    const server = this.#server
    for (const event of REQUESTS) {
      // A listener for one of the others changes what the server does.
      if (server.listenerCount(event) > 0) server.prependListener(event, lastAnswer)
    }
    // Sends GOAWAY; streams that are open go on.
    for (const session of this.#sessions) session.close()
    const stop = closeIdle(server, timeoutMs)
    await new Promise<void>((resolve) => {
      stopListening(server, resolve)
    })
    stop()
  }
}

function lastAnswer(request: http.IncomingMessage, response: http.ServerResponse): void {
  if (request.httpVersionMajor === 1 && !response.headersSent)
    response.setHeader('Connection', 'close')
}
