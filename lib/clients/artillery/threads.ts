/**
 * The end of a run over Artillery's threads. Its main thread tells those that make load to end and
 * ends the process without waiting for them, which would close their connections before they do it
 * themselves, with no close mode. So the main thread is held until they have said that they are done.
 */
import { BroadcastChannel, isMainThread, threadId } from 'node:worker_threads'

export interface Thread {
  /** Resolves when this thread may end. */
  leave(): Promise<void>
}

/** What a thread that makes load says to the main one. */
interface Word {
  readonly thread: number
  readonly open: boolean
}

const CHANNEL = 'socket-tuner/artillery'

/** A thread that died has no last word. */
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
    this.#say(true)
  }

  leave(): Promise<void> {
    this.#say(false)
    this.#channel.close()
    return Promise.resolve()
  }

  #say(open: boolean): void {
    const word: Word = { thread: this.#id, open }
    this.#channel.postMessage(word)
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
      this.#heard((event as { readonly data: Word }).data)
    }
  }

  /** Threads that make load, as far as they have been heard. */
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

  #heard({ thread, open }: Word): void {
    if (open) this.#open.add(thread)
    else this.#open.delete(thread)
    if (this.#open.size === 0) this.#allDone?.()
  }
}
