import cluster from 'node:cluster'
import type * as net from 'node:net'
import { alreadyListening, listenOnDescriptor } from '../connect/listening'
import { ArgumentTypeError } from '../errors'
import { hasLimits, requireHttp } from '../server/connection-limits'
import { retirementOf, type Retirement } from '../server/retirement'
import { isServer } from '../target'
import {
  failureOf,
  marked,
  unmarked,
  ASSIGNMENT,
  type Assignment,
  type ToPrimary,
  type FromPrimary,
} from './messages'

/** The argument of `serve`. */
export interface PreforkWorker {
  /** The number of the worker's slot, from 0. */
  readonly slot: number
  /** Aborted when the worker shuts down: it accepts no more connections, and waits for those that it has. */
  readonly signal: AbortSignal
  /**
   * Makes a server listen on the address of the group: a `net`, `http`, `https`, `http2` or `tls` server. For
   * Express, pass `http.createServer(app)`; for Fastify, `app.server` after `app.ready()`.
   *
   * @throws (as a rejection) ERR_INVALID_ARG_TYPE; ERR_INVALID_ARG_VALUE if the group limits connections and the
   *   server is not an HTTP server; ERR_SERVER_ALREADY_LISTEN, also for a second server; the error that the server
   *   emits as 'error'
   */
  listen(server: net.Server): Promise<net.AddressInfo>
}

/**
 * Runs in each worker: creates a server and calls `worker.listen(server)`. If it returns a function, or a promise
 * of one, that function is called for cleanup when the worker shuts down and its last connection is closed.
 */
export type Serve = (worker: PreforkWorker) => unknown

/** The assignment of this process; undefined if prefork() did not start it. */
export function assignmentOf(env: NodeJS.ProcessEnv): Assignment | undefined {
  const text = env[ASSIGNMENT]
  if (!cluster.isWorker || text === undefined) return undefined
  // Child processes of the application must not inherit it.
  Reflect.deleteProperty(env, ASSIGNMENT)
  return JSON.parse(text) as Assignment
}

/** Runs `serve`. The worker then runs until the primary ends it. */
export async function work(assignment: Assignment, serve: Serve): Promise<void> {
  const worker = new ServingWorker(assignment)
  try {
    const result = await serve(worker)
    if (typeof result === 'function') worker.cleanup = result as () => unknown
  } catch (error) {
    await send({ type: 'failed', failure: failureOf(error) })
    process.exitCode = 1
    throw error
  }
}

class ServingWorker implements PreforkWorker {
  readonly slot: number
  /** Called when the last connection is closed. */
  cleanup: (() => unknown) | undefined
  readonly #assignment: Assignment
  readonly #ending = new AbortController()
  #retirement: Retirement | undefined
  #connections = 0

  constructor(assignment: Assignment) {
    this.slot = assignment.slot
    this.#assignment = assignment
    process.on('message', (message: unknown) => {
      this.#receive(unmarked(message) as FromPrimary | undefined)
    })
    if (assignment.signals) {
      // A terminal sends these signals to the whole process group. The primary handles them.
      process.on('SIGINT', () => undefined)
      process.on('SIGTERM', () => void send({ type: 'leaving' }))
    }
  }

  get signal(): AbortSignal {
    return this.#ending.signal
  }

  async listen(server: net.Server): Promise<net.AddressInfo> {
    if (!isServer(server))
      throw new ArgumentTypeError('server', 'an instance of net.Server', server)
    if (server.listening || this.#retirement !== undefined)
      throw alreadyListening('The worker or its server')
    const { limits } = this.#assignment
    requireHttp(server, limits, 'options')
    const retirement = retirementOf(server)
    this.#retirement = retirement
    if (hasLimits(limits)) retirement.limit(limits)
    server.on('connection', this.#count)
    try {
      const address = await this.#listenOn(server)
      await send({ type: 'listening', address })
      return address
    } catch (error) {
      this.#retirement = undefined
      retirement.unlimit(limits)
      server.off('connection', this.#count)
      throw error
    }
  }

  readonly #count = (): void => {
    this.#connections++
  }

  #listenOn(server: net.Server): Promise<net.AddressInfo> {
    const { fd, address, backlog } = this.#assignment
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      const listening = (): void => {
        server.off('error', reject)
        resolve(server.address() as net.AddressInfo)
      }
      if (fd === undefined) server.listen({ ...address, backlog }, listening)
      else listenOnDescriptor(server, fd, backlog, listening)
    })
  }

  #receive(message: FromPrimary | undefined): void {
    switch (message?.type) {
      case 'report-count':
        void this.#reportCount()
        break
      case 'end':
        if (!this.signal.aborted) void this.#end(message.timeoutMs)
        break
      case undefined:
    }
  }

  async #end(timeoutMs: number): Promise<void> {
    setTimeout(() => {
      void this.#exit()
    }, timeoutMs)
    this.#ending.abort()
    try {
      // The primary and other workers share the listening socket and its queue.
      const overMs = Math.min(this.#assignment.overMs, timeoutMs)
      const plan = { overMs, deadlineMs: timeoutMs, acceptMs: 0, queue: 'leave' } as const
      await this.#retirement?.end(plan)
      await this.cleanup?.()
    } catch (error) {
      await this.#reportCount()
      await send({ type: 'unclean', failure: failureOf(error) })
      process.exitCode = 1
      // Rethrown as an uncaught exception, which Node prints unless the application handles it.
      process.nextTick(rethrow, error)
      return
    }
    await this.#exit()
  }

  async #exit(): Promise<void> {
    await this.#reportCount()
    process.exit()
  }

  #reportCount(): Promise<void> {
    return send({ type: 'count', connections: this.#connections })
  }
}

function rethrow(error: unknown): never {
  throw error
}

/** Resolves when the message was sent, or cannot be sent. */
function send(message: ToPrimary): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined || !process.connected) {
      resolve()
      return
    }
    process.send(marked(message), undefined, undefined, () => {
      resolve()
    })
  })
}
