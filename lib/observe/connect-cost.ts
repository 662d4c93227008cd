/**
 * How long connect(2) takes in this thread. While half of the ports of a destination are free it takes
 * microseconds; then the kernel looks through them one by one, on the event loop, and that is the only
 * sign of it that a program gets before the ports are gone.
 */
import { isIP } from 'node:net'
import { timeConnects } from '../node/tcp-prototype'
import { plainAddress } from '../kernel/addresses'

/** The calls for one destination. */
export interface ConnectCost {
  readonly calls: number
  /** What half of the last of them took no longer than, µs; undefined without any. */
  readonly median: number | undefined
  /** The longest one, µs. */
  readonly slowest: number
}

/** The median is that of so many. */
const KEPT = 256

/** Those that run, by what they count. */
const running = new Map<string, Set<ConnectMeter>>()
let restore: (() => void) | undefined

/**
 * Measures the calls for one destination from the time that it is made until stop(). Sees nothing while
 * Node's handles cannot be had, as without a free descriptor.
 */
export class ConnectMeter {
  readonly #key: string
  readonly #last = new Float64Array(KEPT)
  #count = 0
  #slowest = 0

  constructor(address: string, port: number) {
    this.#key = keyOf(address, port)
    const others = running.get(this.#key)
    if (others === undefined) running.set(this.#key, new Set([this]))
    else others.add(this)
    restore ??= timeConnects(took)
  }

  add(microseconds: number): void {
    this.#last[this.#count++ % KEPT] = microseconds
    this.#slowest = Math.max(this.#slowest, microseconds)
  }

  /** What the calls cost since the last time that this was asked. */
  take(): ConnectCost {
    if (running.size > 0) restore ??= timeConnects(took)
    const last = this.#last.slice(0, this.#count).sort()
    const cost = { calls: this.#count, median: last[last.length >> 1], slowest: this.#slowest }
    this.#count = 0
    this.#slowest = 0
    return cost
  }

  /** May be called twice. */
  stop(): void {
    const meters = running.get(this.#key)
    if (meters?.delete(this) !== true || meters.size > 0) return
    running.delete(this.#key)
    if (running.size > 0) return
    restore?.()
    restore = undefined
  }
}

function took(milliseconds: number, address: string, port: number): void {
  // What is no address fails in connect(), and is no connection to any destination.
  if (isIP(address) === 0) return
  for (const meter of running.get(keyOf(address, port)) ?? []) meter.add(1000 * milliseconds)
}

function keyOf(address: string, port: number): string {
  return `${plainAddress(address)} ${String(port)}`
}
