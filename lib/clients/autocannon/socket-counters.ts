import type { CloseCounters } from '../../close/server-policy'
import { fallbackCodes, type FallbackCode } from '../../close/fallback'
import { closeModeNames, type CloseModeName } from '../../close/modes'
import { FAILURE_BYTES, SharedFailures, type FailureCount } from './failures'

/** The counters of the connections of a run, over all threads. */
export interface SocketCounters extends Pick<
  CloseCounters,
  'closes' | 'fallbacks' | 'timeWaitLeft'
> {
  /** Connections that were made. */
  created: number
  /** Attempts to connect that failed and were repeated. */
  failed: number
  /** Connections that were made and then ended by an error, such as ECONNRESET. */
  broken: number
  /** Attempts to connect without an answer at the end of the run. */
  unfinished: number
  /**
   * The reasons of failed attempts and broken connections: by the code of the error, their number and the message of
   * the first. ETIMEDOUT includes attempts that autocannon gave up after its `timeout`.
   */
  failures: Readonly<Record<string, Readonly<FailureCount>>>
}

const ownCounters = ['created', 'failed', 'broken', 'unfinished', 'timeWaitLeft'] as const

export type Counter = (typeof ownCounters)[number] | CloseModeName | FallbackCode

const causes = Object.keys(fallbackCodes) as FallbackCode[]
const slots: readonly Counter[] = [...ownCounters, ...closeModeNames, ...causes]
const SLOT_BYTES = slots.length * Uint32Array.BYTES_PER_ELEMENT

/** Counters in memory that threads share, so that the sum can be read at any time without messages. */
export class SharedCounters {
  readonly memory: SharedArrayBuffer
  readonly #counts: Uint32Array
  readonly #failures: SharedFailures

  constructor(memory = new SharedArrayBuffer(SLOT_BYTES + FAILURE_BYTES)) {
    this.memory = memory
    this.#counts = new Uint32Array(memory, 0, slots.length)
    this.#failures = new SharedFailures(memory, SLOT_BYTES)
  }

  add(counter: Counter): void {
    Atomics.add(this.#counts, slots.indexOf(counter), 1)
  }

  /** Counts an attempt that failed, or a connection that broke. */
  addFailure(counter: 'failed' | 'broken', code: string, message: string): void {
    this.add(counter)
    this.#failures.add(code, message)
  }

  read(): SocketCounters {
    const of = (counter: Counter): number => Atomics.load(this.#counts, slots.indexOf(counter))
    return {
      created: of('created'),
      failed: of('failed'),
      broken: of('broken'),
      unfinished: of('unfinished'),
      failures: this.#failures.read(),
      closes: Object.fromEntries(closeModeNames.map((name) => [name, of(name)])) as Record<
        CloseModeName,
        number
      >,
      fallbacks: Object.fromEntries(
        causes.map((code) => [code, of(code)] as const).filter(([, count]) => count > 0),
      ),
      timeWaitLeft: of('timeWaitLeft'),
    }
  }
}
