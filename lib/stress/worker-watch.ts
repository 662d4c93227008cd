/** Notices workers that have stopped to respond, for example because SIGSTOP stopped them. */

/** When a worker counts as lost. */
export interface WorkerPatience {
  /** The time between two signs of life of a worker, ms. */
  readonly beatMs: number
  /** Signs of life that may be missing. */
  readonly missing: number
}

export const PATIENCE: WorkerPatience = { beatMs: 1_000, missing: 30 }

export interface WatchedWorker {
  /** Messages that have come from it. */
  readonly messages: number
  /** Ends it, unless it is done. */
  giveUp(reason: string): void
}

export class WorkerWatch {
  readonly #timer: NodeJS.Timeout

  constructor(all: readonly WatchedWorker[], { beatMs, missing }: WorkerPatience) {
    const seen = all.map((worker) => ({ worker, messages: worker.messages, missed: 0 }))
    // Turns are counted, and not the time: Ctrl-Z stops this process, too.
    this.#timer = setInterval(() => {
      for (const each of seen) {
        const { messages } = each.worker
        each.missed = messages === each.messages ? each.missed + 1 : 0
        each.messages = messages
        if (each.missed > missing) each.worker.giveUp(reasonAfter(missing * beatMs))
      }
    }, beatMs)
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}

function reasonAfter(ms: number): string {
  return `it did not respond for ${String(ms / 1_000)} s; it was stopped (SIGSTOP), or got no processor time`
}
