/**
 * How long connect(2) takes in this thread. While half of the ports of a destination are free it takes
 * microseconds; then the kernel looks through them one by one, on the event loop, and that is the only
 * sign of it that a program gets before the ports are gone.
 */
import * as net from 'node:net'
import { native } from '../binding'
import { plainAddress } from './address-text'

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

type Connect = (
  this: unknown,
  request: unknown,
  address: string,
  port: number,
  ...rest: readonly unknown[]
) => number

/** What the handles of all TCP sockets inherit from. */
interface TcpPrototype {
  connect: Connect
  connect6: Connect
}

const running = new Set<ConnectMeter>()
let restore: (() => void) | undefined

/** Measures from the time that it is made until stop(). Where Node's handles cannot be had it sees nothing. */
export class ConnectMeter {
  readonly #costs = new Map<string, Calls>()

  constructor() {
    running.add(this)
    restore ??= measureAll()
  }

  /** What the calls cost since the last time that this was asked. */
  take(address: string, port: number): ConnectCost {
    const key = keyOf(address, port)
    const calls = this.#costs.get(key) ?? new Calls()
    this.#costs.set(key, calls)
    return calls.take()
  }

  /** Only destinations that have been asked for are counted. */
  count(key: string, microseconds: number): void {
    this.#costs.get(key)?.add(microseconds)
  }

  stop(): void {
    running.delete(this)
    if (running.size > 0) return
    restore?.()
    restore = undefined
  }
}

class Calls {
  readonly #last = new Float64Array(KEPT)
  #count = 0
  #slowest = 0

  add(microseconds: number): void {
    this.#last[this.#count++ % KEPT] = microseconds
    this.#slowest = Math.max(this.#slowest, microseconds)
  }

  take(): ConnectCost {
    const last = this.#last.slice(0, this.#count).sort()
    const cost = { calls: this.#count, median: last[last.length >> 1], slowest: this.#slowest }
    this.#count = 0
    this.#slowest = 0
    return cost
  }
}

/** Puts a clock around connect() of every TCP handle; returns what takes it off again. */
function measureAll(): (() => void) | undefined {
  const prototype = tcpPrototype()
  if (prototype === undefined) return undefined
  const { connect, connect6 } = prototype
  const timed = { connect: measured(connect), connect6: measured(connect6) }
  Object.assign(prototype, timed)
  return () => {
    // Somebody may have laid something else over it, which calls it still.
    if (prototype.connect === timed.connect) prototype.connect = connect
    if (prototype.connect6 === timed.connect6) prototype.connect6 = connect6
  }
}

function measured(own: Connect): Connect {
  return function connect(request, address, port, ...rest) {
    const begun = performance.now()
    const result = own.call(this, request, address, port, ...rest)
    const microseconds = 1000 * (performance.now() - begun)
    const key = keyOf(address, port)
    for (const meter of running) meter.count(key, microseconds)
    return result
  }
}

/** Found on a handle, since Node does not export it. */
function tcpPrototype(): TcpPrototype | undefined {
  const { AF_INET, SOCK_STREAM } = native.constants
  if (AF_INET === undefined || SOCK_STREAM === undefined) return undefined
  const fd = native.openSocket(AF_INET, SOCK_STREAM, 0)
  if (fd < 0) return undefined
  const socket = new net.Socket({ fd, readable: false, writable: false })
  const handle = (socket as unknown as { _handle?: object })._handle
  socket.destroy()
  const prototype: unknown = handle === undefined ? undefined : Object.getPrototypeOf(handle)
  return isTcpPrototype(prototype) ? prototype : undefined
}

function isTcpPrototype(value: unknown): value is TcpPrototype {
  const { connect, connect6 } = (value ?? {}) as Partial<TcpPrototype>
  return typeof connect === 'function' && typeof connect6 === 'function'
}

function keyOf(address: string, port: number): string {
  return `${plainAddress(address)} ${String(port)}`
}
