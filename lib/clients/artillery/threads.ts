/**
 * Coordinates the end of a run. Artillery's main thread makes the load threads end, and ends the process without
 * waiting for them, so their connections would be closed without a close mode. Here, the main thread waits until all
 * load threads have reported that they are done.
 */
import { BroadcastChannel, isMainThread, threadId } from 'node:worker_threads'

export interface Thread {
  /** Resolves when this thread may end. */
  leave(): Promise<void>
}

/** The message from a load thread to the main thread, at its start and its end. */
interface ThreadReport {
  readonly thread: number
  readonly open: boolean
}

const CHANNEL = 'socket-tuner/artillery'

/** A thread that died sends no last message. */
const DEADLINE_MS = 2000

export function enterThread(): Thread {
  return isMainThread ? new MainThread() : new LoadThread(threadId)
}

export class LoadThread implements Thread {
  readonly #channel = new BroadcastChannel(CHANNEL)
  readonly #id: number

  constructor(id: number) {
    this.#id = id
    this.#channel.unref()
    this.#report(true)
  }

  leave(): Promise<void> {
    this.#report(false)
    this.#channel.close()
    return Promise.resolve()
  }

  #report(open: boolean): void {
    this.#channel.postMessage({ thread: this.#id, open } satisfies ThreadReport)
  }
}

export class MainThread implements Thread {
  readonly #channel = new BroadcastChannel(CHANNEL)
  readonly #deadlineMs: number
  readonly #open = new Set<number>()
  #allDone: (() => void) | undefined

  constructor(deadlineMs = DEADLINE_MS) {
    this.#deadlineMs = deadlineMs
    this.#channel.unref()
    this.#channel.onmessage = (event: unknown) => {
      this.#receive((event as { readonly data: ThreadReport }).data)
    }
  }

  /** The load threads that have sent a message. */
  get open(): number {
    return this.#open.size
  }

  async leave(): Promise<void> {
    if (this.#open.size > 0) await this.#everyoneElse()
    this.#channel.close()
  }

  #everyoneElse(): Promise<void> {
    return new Promise((resolve) => {
      const deadline = setTimeout(resolve, this.#deadlineMs)
      this.#allDone = () => {
        clearTimeout(deadline)
        resolve()
      }
    })
  }

  #receive({ thread, open }: ThreadReport): void {
    if (open) this.#open.add(thread)
    else this.#open.delete(thread)
    if (this.#open.size === 0) this.#allDone?.()
  }
}
