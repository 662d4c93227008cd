import type { CloseCounters } from '../../close/server-policy'
import { fallbackCodes, type FallbackCode } from '../../close/fallback'
import { closeModes, type CloseMode } from '../../close/report'

/** What became of the connections of a run, in all its threads. */
export interface SocketCounters extends Pick<
  CloseCounters,
  'closes' | 'fallbacks' | 'timeWaitLeft'
> {
  /** Connections that were made. */
  created: number
  /** Attempts that failed, and were made again. */
  failed: number
}

export type Counter = 'created' | 'failed' | 'timeWaitLeft' | CloseMode | FallbackCode

const causes = Object.keys(fallbackCodes) as FallbackCode[]
const slots: readonly Counter[] = ['created', 'failed', 'timeWaitLeft', ...closeModes, ...causes]

/** Counters in memory that threads share, so that the sum is there at any time and without messages. */
export class SharedCounters {
  readonly memory: SharedArrayBuffer
  readonly #counts: Uint32Array

  constructor(memory = new SharedArrayBuffer(slots.length * Uint32Array.BYTES_PER_ELEMENT)) {
    this.memory = memory
    this.#counts = new Uint32Array(memory)
  }

  add(counter: Counter): void {
    Atomics.add(this.#counts, slots.indexOf(counter), 1)
  }

  read(): SocketCounters {
    const of = (counter: Counter): number => Atomics.load(this.#counts, slots.indexOf(counter))
    return {
      created: of('created'),
      failed: of('failed'),
      closes: {
        fin: of('fin'),
        deliver: of('deliver'),
        lingering: of('lingering'),
        reset: of('reset'),
      },
      fallbacks: Object.fromEntries(
        causes.map((code) => [code, of(code)] as const).filter(([, count]) => count > 0),
      ),
      timeWaitLeft: of('timeWaitLeft'),
    }
  }
}
