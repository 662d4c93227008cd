/** Bounds how many connections are opened per second: a token bucket that holds the tokens of one turn. */
import { WHOLE_RUN, type Share } from './part'

/** A turn of the event loop. A longer turn is not made up for. */
const TURN_MS = 10

/** The pace of one part of a run. All its parts together open no more than `perSecond` connections per second. */
export class Pace {
  readonly #gapMs: number
  #nextMs: number

  /** @param startMs the start of the run, at which its parts begin one after the other */
  constructor(perSecond: number, startMs = -Infinity, { index, count }: Share = WHOLE_RUN) {
    this.#gapMs = (1000 * count) / perSecond
    this.#nextMs = startMs + (1000 * index) / perSecond
  }

  /** The moment from which the next connection may be opened, on the clock of the caller, ms. */
  get nextMs(): number {
    return this.#nextMs
  }

  /** @returns whether a connection may be opened now */
  take(nowMs: number): boolean {
    if (nowMs < this.#nextMs) return false
    this.#nextMs = Math.max(this.#nextMs, nowMs - TURN_MS) + this.#gapMs
    return true
  }
}
