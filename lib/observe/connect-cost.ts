/**
 * How long connect(2) takes in this thread. While half of the ports of a destination are free it takes
 * microseconds; then the kernel looks through them one by one, on the event loop, and that is the only
 * sign of it that a program gets before the ports are gone.
 */
import * as net from 'node:net'
import { isIP } from 'node:net'
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
    restore ??= measureAll()
  }

  add(microseconds: number): void {
    this.#last[this.#count++ % KEPT] = microseconds
    this.#slowest = Math.max(this.#slowest, microseconds)
  }

  /** What the calls cost since the last time that this was asked. */
  take(): ConnectCost {
    if (running.size > 0) restore ??= measureAll()
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
    // What is no address fails in here, and is no connection to any destination.
    if (isIP(address) !== 0) {
      for (const meter of running.get(keyOf(address, port)) ?? []) meter.add(microseconds)
    }
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
