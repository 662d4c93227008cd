/** The work of one worker in one run. */
import { writtenStress, type CheckedStress } from './options'
import type { Part, PartSnapshot, Share } from './part'
import type { StressTargetInfo } from './result'
import { optionsOf } from './shares'
import type { FromWorker } from './worker-messages'
import type { WorkerHandle } from './worker-pool'
import type { WatchedWorker } from './worker-watch'

/** The common part of the work of all workers of a run. */
export interface WorkerJob {
  readonly options: CheckedStress
  readonly target: StressTargetInfo
  /** The time between two signs of life, ms. */
  readonly beatMs: number
}

export class Assigned implements WatchedWorker {
  /** Its name in messages and results. */
  readonly name: string
  /** Resolves when the worker is ready, or lost. */
  readonly ready: Promise<void>
  /** Resolves when its part has arrived, or it is lost. */
  readonly over: Promise<void>
  readonly #worker: WorkerHandle
  readonly #take: (snapshot: PartSnapshot) => void
  #messages = 0
  #part: Part | undefined
  #lost: string | undefined
  #isReady = false
  #whenReady: () => void = () => undefined
  #isOver: () => void = () => undefined

  /** @param take called with each snapshot */
  constructor(
    worker: WorkerHandle,
    share: Share,
    { options, target, beatMs }: WorkerJob,
    take: (snapshot: PartSnapshot) => void,
  ) {
    this.name = `worker ${String(share.index + 1)}`
    this.#worker = worker
    this.#take = take
    this.ready = new Promise((resolve) => (this.#whenReady = resolve))
    this.over = new Promise((resolve) => (this.#isOver = resolve))
    worker.onMessage = (message) => {
      this.#receive(message)
    }
    void worker.ended.then((reason) => {
      this.#lose(reason)
    })
    const own = writtenStress(optionsOf(options, share))
    worker.send({ kind: 'job', options: own, share, target, beatMs })
  }

  get isReady(): boolean {
    return this.#isReady
  }

  get messages(): number {
    return this.#messages
  }

  /** The measurements of the worker once it is over; undefined if it was lost. */
  get part(): Part | undefined {
    return this.#part
  }

  /** Why it was lost. */
  get lost(): string | undefined {
    return this.#lost
  }

  /** @param atNs the moment on the clock of process.hrtime.bigint() */
  start(atNs: bigint): void {
    this.#worker.send({ kind: 'start', atNs })
  }

  abort(): void {
    this.#worker.send({ kind: 'abort' })
  }

  /** Ends the worker, unless it is done. */
  giveUp(reason: string): void {
    if (this.#part !== undefined) return
    this.#lose(reason)
    this.#worker.kill()
  }

  #receive(message: FromWorker): void {
    this.#messages++
    switch (message.kind) {
      case 'alive':
        return
      case 'ready':
        this.#isReady = true
        this.#whenReady()
        return
      case 'snapshot':
        if (this.#lost === undefined) this.#take(message.snapshot)
        return
      case 'part':
        if (this.#lost !== undefined) return
        this.#part = message.part
        this.#isOver()
        return
      case 'failed':
        this.giveUp(message.message)
    }
  }

  #lose(reason: string): void {
    if (this.#part !== undefined || this.#lost !== undefined) return
    this.#lost = reason
    this.#whenReady()
    this.#isOver()
  }
}
