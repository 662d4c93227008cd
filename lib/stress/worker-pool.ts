/** The worker processes of one run, or of several runs one after the other. */
import { fork, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import type { FromWorker, ToWorker } from './worker-messages'

/** How long a worker may take to end when its channel is closed, ms. */
const END_MS = 5_000

/** A worker process. */
export class WorkerHandle {
  readonly #child: ChildProcess
  /** Resolves with the reason when the process has ended, or could not be started. */
  readonly ended: Promise<string>
  #isAlive = true
  #isUsable = true
  /** Receives the messages of the worker. */
  onMessage: (message: FromWorker) => void = () => undefined

  constructor() {
    const child = fork(join(__dirname, 'worker-program.js'), [], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      // Bytes and 64-bit numbers among the options survive it.
      serialization: 'advanced',
    })
    this.#child = child
    child.on('message', (message) => {
      this.onMessage(message as FromWorker)
    })
    this.ended = new Promise((resolve) => {
      const end = (reason: string): void => {
        this.#isAlive = false
        resolve(reason)
      }
      child.on('exit', (code, signal) => {
        end(signal === null ? `it exited with code ${String(code)}` : `${signal} killed it`)
      })
      // Also of a process that exists, for example if it cannot be killed.
      child.on('error', (error) => {
        if (child.pid === undefined) end(`it could not be started (${error.message})`)
      })
    })
  }

  /** Whether it can have another run. */
  get isUsable(): boolean {
    return this.#isAlive && this.#isUsable
  }

  /** A message to a worker that has ended is lost: `ended` reports the end. */
  send(message: ToWorker): void {
    if (this.#child.connected) this.#child.send(message, () => undefined)
  }

  kill(): void {
    this.#isUsable = false
    this.#child.kill('SIGKILL')
  }

  /** Resolves when the process has ended. */
  async stop(): Promise<void> {
    if (!this.#isAlive) return
    if (this.#child.connected) this.#child.disconnect()
    const timer = setTimeout(() => {
      this.kill()
    }, END_MS)
    await this.ended
    clearTimeout(timer)
  }
}

/** Workers that stay for the next run: their code is compiled and optimized by then. */
export class WorkerPool {
  readonly #count: number
  #all: WorkerHandle[] = []

  constructor(count: number) {
    this.#count = count
  }

  /** Returns the workers. Those that do not exist, or no longer, are started. */
  workers(): readonly WorkerHandle[] {
    this.#all = Array.from({ length: this.#count }, (_, index) => {
      const known = this.#all[index]
      return known?.isUsable === true ? known : new WorkerHandle()
    })
    return this.#all
  }

  /** Resolves when all processes have ended. */
  async stop(): Promise<void> {
    await Promise.all(this.#all.map((worker) => worker.stop()))
  }
}

/** Undefined for a run in this process. */
export function poolFor(workers: number): WorkerPool | undefined {
  return workers === 1 ? undefined : new WorkerPool(workers)
}
