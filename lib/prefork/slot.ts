import { setTimeout as delay } from 'node:timers/promises'
import { SocketTunerError } from '../errors'
import { pauseAfter } from './prefork-options'
import type { WorkerEnd, WorkerProcess } from './worker-process'

/** A worker that ends within this time of listening counts as crashed. */
const SERVED_MS = 1_000

interface SlotPlan {
  readonly crashLimit: number
  readonly restartDelayMs: number
  readonly shutdownTimeoutMs: number
}

/** Keeps one worker running: starts it, restarts it when it ends, and replaces it on demand. */
export class Slot {
  readonly index: number
  /** Workers that were started to replace another. */
  restarts = 0
  /** Workers that ended by themselves. */
  crashes = 0
  readonly #plan: SlotPlan
  readonly #spawn: () => WorkerProcess
  readonly #failed: (error: Error) => void
  readonly #stopped = new AbortController()
  #current: WorkerProcess | undefined
  #inARow = 0
  #ofEnded = 0

  /** @param failed called when workers keep ending after start() has resolved */
  constructor(
    index: number,
    plan: SlotPlan,
    spawn: () => WorkerProcess,
    failed: (error: Error) => void,
  ) {
    this.index = index
    this.#plan = plan
    this.#spawn = spawn
    this.#failed = failed
  }

  /** The worker that listens; undefined if none does. */
  get current(): WorkerProcess | undefined {
    return this.#current
  }

  /** Connections that its workers have accepted. */
  get connections(): number {
    return this.#ofEnded + (this.#current?.connections ?? 0)
  }

  /** Updates `connections`. */
  async count(): Promise<void> {
    await this.#current?.count()
  }

  /** Resolves when a worker listens. @throws (as a rejection) ERR_SOCKET_TUNER_PREFORK_CRASHES, or why it cannot listen */
  async start(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      const worker = this.#launch()
      try {
        await worker.listening
        this.#serveBy(worker)
        return
      } catch (error) {
        await this.#afterCrash(error as SocketTunerError)
      }
    }
  }

  /**
   * Starts a new worker and ends the old one when the new one listens.
   *
   * @returns the old worker
   * @throws (as a rejection) ERR_SOCKET_TUNER_PREFORK_CRASHES if the new worker does not listen; the old one stays
   */
  async replace(): Promise<WorkerProcess | undefined> {
    const worker = this.#launch()
    await worker.listening
    return this.#serveBy(worker)
  }

  /** Starts no more workers. The caller ends those that run. */
  stop(): void {
    this.#stopped.abort()
  }

  #launch(): WorkerProcess {
    const worker = this.#spawn()
    worker.onLeaving = () => {
      if (worker === this.#current && !this.#stopped.signal.aborted) this.#replaceUnasked()
    }
    return worker
  }

  /** @returns the previous worker, which is ending */
  #serveBy(worker: WorkerProcess): WorkerProcess | undefined {
    const before = this.#current
    this.#current = worker
    if (before !== undefined) {
      this.restarts++
      before.end(this.#plan.shutdownTimeoutMs)
    }
    void worker.ended.then((end) => {
      this.#ofEnded += worker.connections
      if (this.#current === worker) this.#lost(end)
    })
    return before
  }

  /** Handles a worker that ended by itself. */
  #lost(end: WorkerEnd): void {
    this.#current = undefined
    if (this.#stopped.signal.aborted) return
    this.restarts++
    this.crashes++
    const again = this.#afterEnd(end).then(() => this.start())
    again.catch(this.#failed)
  }

  async #afterEnd({ servedMs, ...end }: WorkerEnd): Promise<void> {
    if (servedMs >= SERVED_MS) this.#inARow = 0
    else await this.#pause(endedAtOnce(end))
  }

  async #afterCrash(error: SocketTunerError): Promise<void> {
    if (this.#stopped.signal.aborted) return
    this.crashes++
    this.restarts++
    // Another attempt would fail for the same reason: the port is in use, or a privilege is missing.
    const { cause } = error
    if (cause instanceof SocketTunerError && isAboutTheAddress(cause)) throw cause
    await this.#pause(error)
  }

  /** @throws (as a rejection) ERR_SOCKET_TUNER_PREFORK_CRASHES at the `crashLimit` */
  async #pause(why: SocketTunerError): Promise<void> {
    const { crashLimit, restartDelayMs } = this.#plan
    const times = ++this.#inARow
    if (times >= crashLimit) throw tooOften(this.index, times, why)
    const { signal } = this.#stopped
    await delay(pauseAfter(times, restartDelayMs), undefined, { signal }).catch(() => undefined)
  }

  /** Replaces a worker that received SIGTERM. It serves until the new one listens. */
  #replaceUnasked(): void {
    this.replace().catch(() => {
      // The old worker still ends, and is restarted like any other.
      this.#current?.end(this.#plan.shutdownTimeoutMs)
    })
  }
}

function isAboutTheAddress({ code, syscall }: SocketTunerError): boolean {
  if (syscall !== 'listen' && syscall !== 'bind') return false
  return code === 'EADDRINUSE' || code === 'EACCES' || code === 'EADDRNOTAVAIL'
}

function endedAtOnce({ code, signal }: Pick<WorkerEnd, 'code' | 'signal'>): SocketTunerError {
  const how = signal === null ? `with exit code ${String(code)}` : `by ${signal}`
  return new SocketTunerError(`A worker of prefork() ended ${how} right after it listened`, {
    code: 'ERR_SOCKET_TUNER_PREFORK_CRASHES',
  })
}

function tooOften(slot: number, times: number, why: SocketTunerError): SocketTunerError {
  const often = times === 1 ? 'once' : `${String(times)} times in a row`
  return new SocketTunerError(
    `Worker ${String(slot)} of prefork() ended right after its start, ${often}: ${why.message}`,
    { code: 'ERR_SOCKET_TUNER_PREFORK_CRASHES', cause: why.cause ?? why },
  )
}
