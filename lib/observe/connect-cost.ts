/**
 * Measures the duration of connect(2) in this thread. While half of the ports for a destination are free, it takes
 * microseconds. Then the kernel searches the ports one by one, on the event loop. A program sees no other sign of
 * it before the ports run out.
 */
import { isIP } from 'node:net'
import { timeConnects } from '../node/tcp-prototype'
import { plainAddress } from '../kernel/addresses'

/** The calls for one destination. */
interface ConnectCost {
  readonly calls: number
  /** The median duration of the last 256 calls, µs; undefined without calls. */
  readonly median: number | undefined
  /** The longest duration, µs. */
  readonly slowest: number
}

/** The number of durations that the median is taken from. */
const KEPT = 256

/** The running meters by destination. */
const running = new Map<string, Set<ConnectMeter>>()
let restore: (() => void) | undefined

/**
 * Measures the calls for one destination until stop(). Measures nothing while Node's handles are not accessible,
 * for example without a free descriptor.
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

  /** Returns the cost of the calls since the last take(). */
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
  // connect() fails for text that is not an address.
  if (isIP(address) === 0) return
  for (const meter of running.get(keyOf(address, port)) ?? []) meter.add(1000 * milliseconds)
}

function keyOf(address: string, port: number): string {
  return `${plainAddress(address)} ${String(port)}`
}
