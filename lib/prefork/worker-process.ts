import type { Worker } from 'node:cluster'
import type { AddressInfo } from 'node:net'
import { SocketTunerError } from '../errors'
import {
  errorOf,
  marked,
  unmarked,
  type Failure,
  type ToPrimary,
  type FromPrimary,
} from './messages'
import { MAX_INT32 } from '../spec'

/** The time for a worker to exit after it failed or should have ended, ms. After that it is killed. */
const LAST_GRACE_MS = 1_000
const COUNT_TIMEOUT_MS = 1_000

/** How a worker ended. */
export interface WorkerEnd {
  readonly code: number | null
  readonly signal: string | null
  /** The error that it reported before, if any. */
  readonly failure: Failure | undefined
  /** The error of its cleanup. */
  readonly unclean: SocketTunerError | undefined
  /** ms since it listened; 0 if it never did. */
  readonly servedMs: number
}

/** A worker, as the primary sees it. */
export class WorkerProcess {
  /** Resolves when the worker listens. Rejects if it ends before that, or takes too long. */
  readonly listening: Promise<AddressInfo>
  readonly ended: Promise<WorkerEnd>
  /** Connections that it has accepted, as of its last report. */
  connections = 0
  /** Called when another process sent it SIGTERM. */
  onLeaving: (() => void) | undefined
  readonly #worker: Worker
  readonly #counted = new Set<() => void>()
  #listeningSince: number | undefined
  #failure: Failure | undefined
  #unclean: SocketTunerError | undefined
  #killer: NodeJS.Timeout | undefined

  constructor(worker: Worker, startTimeoutMs: number) {
    this.#worker = worker
    this.ended = this.#untilEnd()
    this.listening = new Promise((resolve, reject) => {
      const deadline = setTimeout(() => {
        this.#failure ??= { message: `It did not listen within ${String(startTimeoutMs)} ms` }
        this.kill()
      }, startTimeoutMs)
      worker.on('message', (message: unknown) => {
        this.#receive(unmarked(message) as ToPrimary | undefined, (address) => {
          clearTimeout(deadline)
          resolve(address)
        })
      })
      void this.ended.then((end) => {
        clearTimeout(deadline)
        reject(endedTooEarly(end))
      })
    })
    // The starter awaits it, and `ended` reports a later end.
    this.listening.catch(() => undefined)
  }

  get pid(): number | undefined {
    return this.#worker.process.pid
  }

  get isListening(): boolean {
    return this.#listeningSince !== undefined
  }

  /** Makes the worker stop accepting, end its connections and exit. Kills it if it does not in time. */
  end(timeoutMs: number): void {
    this.#killAfter(timeoutMs + LAST_GRACE_MS)
    this.#send({ type: 'end', timeoutMs })
  }

  kill(): void {
    this.#worker.process.kill('SIGKILL')
  }

  /** Updates `connections`, unless the worker does not answer within 1 s. */
  async count(): Promise<void> {
    if (!this.#worker.isConnected()) return
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(deadline)
        this.#counted.delete(done)
        resolve()
      }
      const deadline = setTimeout(done, COUNT_TIMEOUT_MS)
      this.#counted.add(done)
      this.#send({ type: 'report-count' })
    })
  }

  #receive(message: ToPrimary | undefined, listening: (address: AddressInfo) => void): void {
    switch (message?.type) {
      case 'listening':
        this.#listeningSince = performance.now()
        listening(message.address)
        break
      case 'failed':
        this.#failure = message.failure
        this.#killAfter(LAST_GRACE_MS)
        break
      case 'unclean':
        this.#unclean = cleanupFailed(message.failure)
        this.#killAfter(LAST_GRACE_MS)
        break
      case 'count':
        this.connections = message.connections
        this.#answered()
        break
      case 'leaving':
        this.onLeaving?.()
        break
      case undefined:
    }
  }

  #answered(): void {
    for (const done of this.#counted) done()
  }

  #untilEnd(): Promise<WorkerEnd> {
    return new Promise((resolve) => {
      const end = (code: number | null, signal: string | null): void => {
        clearTimeout(this.#killer)
        this.#answered()
        const since = this.#listeningSince
        const servedMs = since === undefined ? 0 : performance.now() - since
        resolve({ code, signal, failure: this.#failure, unclean: this.#unclean, servedMs })
      }
      this.#worker.process.once('exit', (code, signal) => {
        // Its last message may arrive after 'exit'.
        if (this.#worker.isConnected()) {
          this.#worker.once('disconnect', () => {
            end(code, signal)
          })
        } else end(code, signal)
      })
      this.#worker.on('error', ({ message }) => {
        // Without a process there is no 'exit'.
        this.#failure ??= { message }
        if (this.pid === undefined) end(null, null)
      })
    })
  }

  #send(message: FromPrimary): void {
    if (!this.#worker.isConnected()) return
    // Ignores the error of a worker that has just ended.
    this.#worker.process.send(marked(message), () => undefined)
  }

  #killAfter(ms: number): void {
    clearTimeout(this.#killer)
    // A timer with a longer time would fire at once.
    this.#killer = setTimeout(
      () => {
        this.kill()
      },
      Math.min(ms, MAX_INT32),
    )
  }
}

/** Returns the error for a worker that ended before it listened. */
function endedTooEarly({ code, signal, failure }: WorkerEnd): SocketTunerError {
  const how = signal === null ? `with exit code ${String(code)}` : `by ${signal}`
  const why = failure === undefined ? '' : `: ${failure.message}`
  const cause = failure === undefined ? undefined : errorOf(failure)
  return new SocketTunerError(`A worker of prefork() ended ${how} before it listened${why}`, {
    code: 'ERR_SOCKET_TUNER_PREFORK_CRASHES',
    cause,
  })
}

function cleanupFailed(failure: Failure): SocketTunerError {
  return new SocketTunerError(`The cleanup of a worker of prefork() failed: ${failure.message}`, {
    code: 'ERR_SOCKET_TUNER_PREFORK_CLEANUP',
    cause: errorOf(failure),
  })
}
