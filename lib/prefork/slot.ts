import { setTimeout as delay } from 'node:timers/promises'
import { SocketTunerError } from '../errors'
import { pauseAfter } from './options'
import type { WorkerEnd, WorkerProcess } from './worker-process'

/** A worker that ended sooner after it began to listen did not really serve. */
const SERVED_MS = 1_000

export interface SlotPlan {
  readonly crashLimit: number
  readonly restartDelayMs: number
  readonly shutdownTimeoutMs: number
}

/** A place for one worker: starts it, starts another when it ends, and replaces it on demand. */
export class Slot {
  readonly index: number
  /** Workers started in place of another. */
  restarts = 0
  /** Workers that ended unasked. */
  crashes = 0
  readonly #plan: SlotPlan
  readonly #spawn: () => WorkerProcess
  readonly #failed: (error: Error) => void
  readonly #stopped = new AbortController()
  #current: WorkerProcess | undefined
  #inARow = 0
  #ofEnded = 0

  /** @param failed called when workers end again and again, after start() */
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

  /** The worker that listens, if there is one. */
  get current(): WorkerProcess | undefined {
    return this.#current
  }

  /** Connections that its workers have accepted. */
  get connections(): number {
    return this.#ofEnded + (this.#current?.connections ?? 0)
  }

  /** Brings `connections` up to date. */
  async count(): Promise<void> {
    await this.#current?.count()
  }

  /** Resolves when a worker listens. @throws ERR_SOCKET_TUNER_PREFORK_CRASHES; why it cannot listen */
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
   * Starts another worker and, when it listens, ends the one that was there.
   *
   * @returns that one
   * @throws ERR_SOCKET_TUNER_PREFORK_CRASHES when the new one does not listen; the old one stays then
   */
  async replace(): Promise<WorkerProcess | undefined> {
    const worker = this.#launch()
    await worker.listening
    return this.#serveBy(worker)
  }

  /** From now on no worker is started. Those that are there are the caller's to end. */
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

  /** @returns the worker that served before, which is ending */
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

  /** The worker ended unasked. */
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
    // Another attempt would not find the port free, nor the privilege there.
    const { cause } = error
    if (cause instanceof SocketTunerError && isAboutTheAddress(cause)) throw cause
    await this.#pause(error)
  }

  /** @throws ERR_SOCKET_TUNER_PREFORK_CRASHES when it was once too often */
  async #pause(why: SocketTunerError): Promise<void> {
    const { crashLimit, restartDelayMs } = this.#plan
    const times = ++this.#inARow
    if (times >= crashLimit) throw tooOften(this.index, times, why)
    const { signal } = this.#stopped
    await delay(pauseAfter(times, restartDelayMs), undefined, { signal }).catch(() => undefined)
  }

  /** A worker was sent SIGTERM: it serves until there is another. */
  #replaceUnasked(): void {
    this.replace().catch(() => {
      // It ends all the same, and is then missed like any other.
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
  return new SocketTunerError(`A worker of prefork() ended ${how} as soon as it listened`, {
    code: 'ERR_SOCKET_TUNER_PREFORK_CRASHES',
  })
}

function tooOften(slot: number, times: number, why: SocketTunerError): SocketTunerError {
  const often = times === 1 ? 'once' : `${String(times)} times in a row`
  return new SocketTunerError(
    `Worker ${String(slot)} of prefork() ended at once, ${often}: ${why.message}`,
    { code: 'ERR_SOCKET_TUNER_PREFORK_CRASHES', cause: why.cause ?? why },
  )
}
