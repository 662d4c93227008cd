/** The connections that a connector opens for `minIdle`, until undici requests one. */
import type * as net from 'node:net'
import { isUsable } from '../sockets/idle'
import { LEAD_MS, MinIdle, closeUnused, type IdleConnections } from '../sockets/min-idle'
import type { ReuseCounters } from '../sockets/reuse'
import { MAX_INT32 } from '../../spec'

/** Opens a connection; `done` is called once. */
export type Open<Parameters> = (
  parameters: Parameters,
  done: (...result: [null, net.Socket] | [Error, null]) => void,
) => void

interface Ready {
  readonly socket: net.Socket
  /** By `performance.now()`. */
  readonly since: number
  expiresAt: number
  timer: NodeJS.Timeout | undefined
  readonly ended: () => void
}

export class ReadyConnections<Parameters> implements IdleConnections<Parameters> {
  readonly minIdle: MinIdle<Parameters>
  readonly #open: Open<Parameters>
  readonly #isReusable: (socket: net.Socket) => boolean
  readonly #counters: ReuseCounters
  readonly #ready = new Map<string, Ready[]>()
  /** Counts the calls of {@link close}. */
  #era = 0

  /** @param isReusable whether a connection can wait for its first request */
  constructor(
    count: number,
    counters: ReuseCounters,
    open: Open<Parameters>,
    isReusable: (socket: net.Socket) => boolean,
  ) {
    this.minIdle = new MinIdle(count, this, counters)
    this.#counters = counters
    this.#open = open
    this.#isReusable = isReusable
  }

  idle(name: string): number {
    const now = performance.now()
    return this.#listOf(name).filter(
      ({ socket, expiresAt }) => !socket.destroyed && expiresAt - now > LEAD_MS,
    ).length
  }

  /** undici counts the connections that it has requested. */
  room(): number {
    return Infinity
  }

  open(name: string, parameters: Parameters, done: (error?: Error) => void): void {
    const era = this.#era
    this.#open(parameters, (error, socket) => {
      if (error !== null) {
        done(error)
        return
      }
      if (era !== this.#era) socket.destroy()
      else if (this.#isReusable(socket)) this.#keep(name, socket)
      else {
        this.#counters.warmedLost++
        this.minIdle.limit(name, 0)
        socket.destroy()
      }
      done()
    })
  }

  /** Takes a connection that can carry a request; undefined if there is none. */
  take(name: string): net.Socket | undefined {
    for (const ready of [...this.#listOf(name)]) {
      const { socket, expiresAt } = ready
      if (expiresAt <= performance.now()) {
        this.#expire(ready)
      } else if (isUsable(socket)) {
        this.#release(name, ready)
        this.#counters.warmedUsed++
        return socket.ref()
      } else {
        this.#counters.deadBeforeReuse++
        socket.destroy()
      }
    }
    return undefined
  }

  /** The server has answered, and keeps an idle connection for this time, ms. */
  answered(name: string, limitMs: number): void {
    this.minIdle.answered(name)
    if (this.minIdle.limitOf(name) === limitMs) return
    this.minIdle.limit(name, limitMs)
    for (const ready of this.#listOf(name)) this.#limit(name, ready, limitMs)
  }

  /** Closes all connections. */
  close(): void {
    this.#era++
    this.minIdle.stop()
    for (const [name, list] of this.#ready) {
      for (const ready of [...list]) {
        this.#release(name, ready)
        this.#counters.warmedLost++
        ready.socket.destroy()
      }
    }
  }

  #listOf(name: string): Ready[] {
    return this.#ready.get(name) ?? []
  }

  #keep(name: string, socket: net.Socket): void {
    const ready: Ready = {
      socket,
      since: performance.now(),
      expiresAt: Infinity,
      timer: undefined,
      ended: () => {
        this.#release(name, ready)
        const now = performance.now()
        this.minIdle.lost(name, ready.expiresAt <= now ? Infinity : now - ready.since)
      },
    }
    this.#ready.set(name, [...this.#listOf(name), ready])
    // Also keeps the socket reading, so that it ends when the server closes it.
    socket.unref().on('data', closeUnused).once('close', ready.ended)
    this.#limit(name, ready, this.minIdle.limitOf(name))
  }

  #release(name: string, ready: Ready): void {
    const { socket, timer, ended } = ready
    clearTimeout(timer)
    socket.off('data', closeUnused).off('close', ended)
    const others = this.#listOf(name).filter((each) => each !== ready)
    if (others.length === 0) this.#ready.delete(name)
    else this.#ready.set(name, others)
  }

  /** Has a connection replaced, and then closed, before its server closes it. */
  #limit(name: string, ready: Ready, limitMs: number): void {
    clearTimeout(ready.timer)
    ready.expiresAt = ready.since + limitMs
    if (limitMs === Infinity) return
    const after = (time: number, action: () => void): void => {
      const ms = Math.min(Math.max(0, time - performance.now()), MAX_INT32)
      ready.timer = setTimeout(action, ms).unref()
    }
    after(ready.expiresAt - LEAD_MS, () => {
      this.minIdle.check(name)
      after(ready.expiresAt, () => {
        this.#expire(ready)
      })
    })
  }

  #expire(ready: Ready): void {
    this.#counters.expired++
    ready.expiresAt = -Infinity
    ready.socket.destroy()
  }
}
