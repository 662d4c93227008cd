import { EventEmitter, once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { SocketTunerError } from '../errors'
import { Listeners } from './listeners'
import type { PreforkPlan } from './options'
import { onTermination } from './signals'
import { Slot } from './slot'
import { spawnWorker } from './spawn'
import { WorkerProcess } from './worker-process'

/** One place of a group and what its workers have done. */
export interface PreforkCounters {
  /** Its number, from 0. */
  slot: number
  /** The process that listens; undefined while there is none. */
  pid: number | undefined
  /** Connections accepted by all workers that this place has had. What a killed one did not tell is missing. */
  connections: number
  /** Workers started in place of another, for whatever reason. */
  restarts: number
  /** Of them, those whose predecessor had ended unasked. */
  crashes: number
}

/** The workers of `prefork()`, in the primary. */
export interface PreforkGroup extends AsyncDisposable {
  /** Where they listen. */
  readonly address: AddressInfo
  /**
   * Resolves when the group is closed. Rejects then with ERR_SOCKET_TUNER_PREFORK_CRASHES when it closed
   * itself since workers end as soon as they are started, with ERR_SOCKET_TUNER_PREFORK_CLEANUP when the
   * function that `serve` returned failed in a worker that ended with the group, and with any other error
   * of the shutdown. Unhandled, that ends the process.
   */
  readonly closed: Promise<void>
  /** Asks the workers; one that does not answer within a second counts as it last said. */
  counters(): Promise<PreforkCounters[]>
  /**
   * Replaces the workers one after another: the new one listens before the old one stops. Resolves when
   * the old ones are gone. A call while one is under way joins it.
   *
   * @throws (as a rejection) ERR_SOCKET_TUNER_PREFORK_CRASHES when a new worker does not listen: those
   *   not replaced yet stay; ERR_SOCKET_TUNER_PREFORK_CLEANUP when all are replaced and the function that
   *   `serve` returned failed in one of the old ones; ERR_SOCKET_TUNER_PREFORK_CLOSED
   */
  restart(): Promise<void>
  /**
   * Begins no connection any more, serves those that wait, lets all end, and stops the workers.
   * What is not over after `shutdownTimeoutMs` is cut off. May be called twice.
   *
   * @returns `closed`
   */
  close(): Promise<void>
}

/** What a worker is given of the time at least, ms, when waiting for connections took all of it. */
const LEAST_SHUTDOWN_MS = 100

export class Group implements PreforkGroup {
  readonly closed: Promise<void>
  /** Resolves when the group is closed, whatever for. Waiting for it leaves a rejection of `closed` unhandled. */
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

  /** @throws what keeps it from listening; the first worker that cannot start */
  static async start(plan: PreforkPlan): Promise<Group> {
    const group = new Group(
      plan,
      plan.steering === 'cluster' ? undefined : await Listeners.open(plan),
    )
    await Promise.all(group.#slots.map((slot) => slot.start())).catch((error: unknown) =>
      group.#end(error as Error),
    )
    if (group.#closing === undefined) return group
    // Nobody can have it, so that nobody can hear of the failure by it.
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

  /** Never rejects: what goes wrong is the failure of the group. */
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
      // The workers serve to the end what they have accepted all the same.
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
    // Until then workers that are missed are started again: connections wait for them too.
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
