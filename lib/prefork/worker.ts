import cluster from 'node:cluster'
import type * as net from 'node:net'
import { listenOnDescriptor } from '../connect/open'
import { ArgumentTypeError, SocketTunerError } from '../errors'
import { isServer } from '../target'
import {
  failureOf,
  marked,
  unmarked,
  ASSIGNMENT,
  type Assignment,
  type ToPrimary,
  type ToWorker,
} from './messages'
import { Retirement } from './retirement'

/** What a worker of `prefork()` is given. */
export interface PreforkWorker {
  /** The number of its place, from 0. */
  readonly slot: number
  /** Aborted when the worker is to end: it accepts no more, and waits for its connections. */
  readonly signal: AbortSignal
  /**
   * Makes a server listen where the group listens. `net`, `http`, `https`, `http2` and `tls` servers;
   * an Express app by `http.createServer(app)`, a Fastify one by `app.server` after `app.ready()`.
   *
   * @throws (as a rejection) ERR_INVALID_ARG_TYPE; ERR_SERVER_ALREADY_LISTEN, also for a second server;
   *   what the server emits as 'error'
   */
  listen(server: net.Server): Promise<net.AddressInfo>
}

/**
 * What a worker does: it makes its server and calls `worker.listen(server)`. When what it returns, or
 * resolves with, is a function, that is called when the worker ends and its last connection is closed.
 */
export type Serve = (worker: PreforkWorker) => unknown

/** What this process was told when prefork() started it; undefined when that did not. */
export function assignmentOf(env: NodeJS.ProcessEnv): Assignment | undefined {
  const text = env[ASSIGNMENT]
  if (!cluster.isWorker || text === undefined) return undefined
  // Processes that the application starts are no workers of the group.
  Reflect.deleteProperty(env, ASSIGNMENT)
  return JSON.parse(text) as Assignment
}

/** Serves until the primary says that it is enough. */
export async function work(assignment: Assignment, serve: Serve): Promise<void> {
  const worker = new ServingWorker(assignment)
  try {
    const result = await serve(worker)
    if (typeof result === 'function') worker.cleanup = result as () => unknown
  } catch (error) {
    await tell({ tell: 'failed', failure: failureOf(error) })
    process.exitCode = 1
    throw error
  }
}

class ServingWorker implements PreforkWorker {
  readonly slot: number
  /** Runs when the last connection is closed. */
  cleanup: (() => unknown) | undefined
  readonly #assignment: Assignment
  readonly #ending = new AbortController()
  #retirement: Retirement | undefined
  #connections = 0

  constructor(assignment: Assignment) {
    this.slot = assignment.slot
    this.#assignment = assignment
    process.on('message', (message: unknown) => {
      this.#hear(unmarked(message) as ToWorker | undefined)
    })
    if (assignment.signals) {
      // Both reach the whole process group, and the primary decides.
      process.on('SIGINT', () => undefined)
      process.on('SIGTERM', () => void tell({ tell: 'leaving' }))
    }
  }

  get signal(): AbortSignal {
    return this.#ending.signal
  }

  async listen(server: net.Server): Promise<net.AddressInfo> {
    if (!isServer(server))
      throw new ArgumentTypeError('server', 'an instance of net.Server', server)
    if (server.listening || this.#retirement !== undefined) {
      throw new SocketTunerError('The worker, or its server, is listening already', {
        code: 'ERR_SERVER_ALREADY_LISTEN',
      })
    }
    const retirement = new Retirement(server)
    this.#retirement = retirement
    server.on('connection', this.#count)
    try {
      const address = await this.#listenOn(server)
      await tell({ tell: 'listening', address })
      return address
    } catch (error) {
      this.#retirement = undefined
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

  #hear(message: ToWorker | undefined): void {
    switch (message?.ask) {
      case 'count':
        void this.#tellCount()
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
      await this.#retirement?.run(timeoutMs)
      await this.cleanup?.()
    } catch (error) {
      await this.#tellCount()
      await tell({ tell: 'unclean', failure: failureOf(error) })
      process.exitCode = 1
      // An uncaught exception, as in any program: Node prints it, unless the application handles it.
      process.nextTick(rethrow, error)
      return
    }
    await this.#exit()
  }

  async #exit(): Promise<void> {
    await this.#tellCount()
    process.exit()
  }

  #tellCount(): Promise<void> {
    return tell({ tell: 'count', connections: this.#connections })
  }
}

function rethrow(error: unknown): never {
  throw error
}

/** Resolves when it is sent, or cannot be. */
function tell(message: ToPrimary): Promise<void> {
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
