import { EventEmitter, once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { SocketTunerError } from '../errors'
import { Listeners } from './listeners'
import type { PreforkPlan } from './prefork-options'
import { onTermination } from './signals'
import { Slot } from './slot'
import { spawnWorker } from './spawn'
import { WorkerProcess } from './worker-process'

/** The counters of one slot of a group. */
export interface PreforkCounters {
  /** The number of the slot, from 0. */
  slot: number
  /** The process that listens; undefined while none does. */
  pid: number | undefined
  /** Connections accepted by all workers of this slot so far, except those that a killed worker had not reported. */
  connections: number
  /** Workers that were started to replace another, for any reason. */
  restarts: number
  /** The restarts after a worker that ended by itself. */
  crashes: number
}

/** The workers of `prefork()`, as the primary sees them. */
export interface PreforkGroup extends AsyncDisposable {
  /** The address on which they listen. */
  readonly address: AddressInfo
  /**
   * Resolves when the group is closed. Rejects with ERR_SOCKET_TUNER_PREFORK_CRASHES if the group closed itself
   * because workers end right after their start, with ERR_SOCKET_TUNER_PREFORK_CLEANUP if the cleanup function of
   * `serve` failed in a worker, and with any other error of the shutdown. An unhandled rejection ends the process.
   */
  readonly closed: Promise<void>
  /** Queries the workers. For a worker that does not answer within 1 s, its last count is used. */
  counters(): Promise<PreforkCounters[]>
  /**
   * Replaces the workers one by one. Each new worker listens before the old one stops. Resolves when all old
   * workers have ended. A call during a restart returns the same promise.
   *
   * @throws (as a rejection) ERR_SOCKET_TUNER_PREFORK_CRASHES if a new worker does not listen: the workers that
   *   are not replaced yet stay; ERR_SOCKET_TUNER_PREFORK_CLEANUP if all were replaced and the cleanup function of
   *   `serve` failed in an old one; ERR_SOCKET_TUNER_PREFORK_CLOSED
   */
  restart(): Promise<void>
  /**
   * Accepts no new connections, serves those that wait, lets all connections end, and stops the workers.
   * Connections that are still open after `shutdownTimeoutMs` are cut off. May be called twice.
   *
   * @returns `closed`
   */
  close(): Promise<void>
}

/** The least time for a worker to end, ms, if waiting for connections used up the timeout. */
const LEAST_SHUTDOWN_MS = 100

export class Group implements PreforkGroup {
  readonly closed: Promise<void>
  /** Resolves when the group is closed for any reason. Does not handle a rejection of `closed`. */
  readonly over: Promise<void>
  readonly #plan: PreforkPlan
  readonly #listeners: Listeners | undefined
  readonly #slots: readonly Slot[]
  readonly #workers = new Set<WorkerProcess>()
  readonly #isOver: () => void
  readonly #stopListening: () => void
  #address: AddressInfo | undefined
  #failure: Error | undefined
  #restarting: Promise<void> | undefined
  #closing: Promise<void> | undefined

  private constructor(plan: PreforkPlan, listeners: Listeners | undefined) {
    this.#plan = plan
    this.#listeners = listeners
    this.#address = listeners?.address
    this.#slots = Array.from({ length: plan.workers }, (_, index) => {
      const spawn = (): WorkerProcess => this.#spawn(index)
      return new Slot(index, plan, spawn, (error) => {
        void this.#end(error)
      })
    })
    const end = new EventEmitter()
    this.over = once(end, 'over').then(() => undefined)
    this.closed = this.over.then(() => {
      if (this.#failure !== undefined) throw this.#failure
    })
    this.#isOver = () => end.emit('over')
    this.#stopListening = plan.signals ? onTermination(this) : () => undefined
  }

  /** @throws (as a rejection) the error that prevents listening, or that of the first worker that cannot start */
  static async start(plan: PreforkPlan): Promise<Group> {
    const group = new Group(
      plan,
      plan.steering === 'cluster' ? undefined : await Listeners.open(plan),
    )
    await Promise.all(group.#slots.map((slot) => slot.start())).catch((error: unknown) =>
      group.#end(error as Error),
    )
    if (group.#closing === undefined) return group
    // The caller does not get the group and cannot handle its rejection.
    group.closed.catch(() => undefined)
    await group.over
    throw group.#failure ?? closedAlready()
  }

  get address(): AddressInfo {
    if (this.#address === undefined) throw closedAlready()
    return this.#address
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async counters(): Promise<PreforkCounters[]> {
    await Promise.all(this.#slots.map((slot) => slot.count()))
    return this.#slots.map(({ index, current, connections, restarts, crashes }) => {
      return { slot: index, pid: current?.pid, connections, restarts, crashes }
    })
  }

  restart(): Promise<void> {
    if (this.#closing !== undefined) return Promise.reject(closedAlready())
    this.#restarting ??= this.#roll().finally(() => {
      this.#restarting = undefined
    })
    return this.#restarting
  }

  close(): Promise<void> {
    void this.#end(undefined)
    return this.closed
  }

  /** Ends all workers at once. */
  kill(): void {
    for (const slot of this.#slots) slot.stop()
    for (const worker of this.#workers) worker.kill()
  }

  async #roll(): Promise<void> {
    const leaving: WorkerProcess[] = []
    for (const slot of this.#slots) {
      if (this.#closing !== undefined) throw closedAlready()
      const old = await slot.replace()
      if (old !== undefined) leaving.push(old)
    }
    const unclean = await uncleanEnd(leaving)
    if (unclean !== undefined) throw unclean
  }

  #spawn(slot: number): WorkerProcess {
    const worker = new WorkerProcess(
      spawnWorker(this.#plan, slot, this.#listeners?.descriptor(slot)),
      this.#plan.startTimeoutMs,
    )
    this.#workers.add(worker)
    void worker.ended.then(() => this.#workers.delete(worker))
    worker.listening.then(
      (address) => (this.#address ??= address),
      () => undefined,
    )
    return worker
  }

  /** Never rejects: an error becomes the failure of the group. */
  #end(error: Error | undefined): Promise<void> {
    if (this.#closing === undefined) {
      this.#failure = error
      this.#closing = this.#shutDown()
        .catch((reason: unknown) => {
          this.#failure ??= reason as Error
          this.kill()
        })
        .finally(() => {
          this.#stopListening()
          this.#isOver()
        })
    }
    return this.#closing
  }

  async #shutDown(): Promise<void> {
    const { shutdownTimeoutMs } = this.#plan
    const start = performance.now()
    try {
      await this.#drain(shutdownTimeoutMs)
    } catch (error) {
      // The workers still serve the connections that they have accepted.
      this.#failure ??= error as Error
    }
    for (const slot of this.#slots) slot.stop()
    const left = Math.max(LEAST_SHUTDOWN_MS, shutdownTimeoutMs - (performance.now() - start))
    const leaving = [...this.#workers]
    for (const worker of leaving) {
      if (worker.isListening) worker.end(Math.round(left))
      else worker.kill()
    }
    this.#listeners?.close()
    const unclean = await uncleanEnd(leaving)
    this.#failure ??= unclean
  }

  async #drain(timeoutMs: number): Promise<void> {
    if (this.#listeners?.refuse() !== true) return
    // Meanwhile, workers that end are restarted: connections may wait for them.
    await this.#listeners.drained(timeoutMs, (slot) => this.#isServed(slot))
  }

  #isServed(slot: number): boolean {
    return this.#slots[slot]?.current !== undefined
  }
}

/** Waits for the end of workers. @returns the error of the first whose cleanup failed */
async function uncleanEnd(workers: readonly WorkerProcess[]): Promise<Error | undefined> {
  const ends = await Promise.all(workers.map(({ ended }) => ended))
  return ends.find(({ unclean }) => unclean !== undefined)?.unclean
}

function closedAlready(): SocketTunerError {
  return new SocketTunerError('The group of prefork() is closing or closed', {
    code: 'ERR_SOCKET_TUNER_PREFORK_CLOSED',
  })
}
