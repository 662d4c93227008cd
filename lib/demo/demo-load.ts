/** Many short connections in one close mode: connect, request, answer, close. */
import type * as net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { closeSocket, type CloseModeName, type PortRange } from '../index'
import { connectTo, type ServerAddress } from './client-ports'
import { ANSWER, REQUEST, type DemoProgress, type ModeResult } from './protocol'

const CONCURRENCY = 32
/** The pause after an attempt that found no free port, so that the search does not fill the event loop. */
const NO_PORT_PAUSE_MS = 20
/** Connections that are open at the end of the time limit have this long to finish. */
const GRACE_MS = 2_000
const PROGRESS_MS = 200
/** The last rate covers more than 1 s: on loopback ports may come free once a second, all at once. */
const AT_LAST_S = 2

interface LoadOptions {
  readonly mode: CloseModeName
  readonly server: ServerAddress
  /** The ports to connect from; undefined to let the kernel choose. */
  readonly confined: PortRange | undefined
  readonly connections: number
  readonly seconds: number
  /** The time limit doubles until this many connections were made: for slow machines. */
  readonly atLeast?: number
  readonly progress: (report: DemoProgress) => void
}

type LoadResult = Pick<
  ModeResult,
  | 'connections'
  | 'seconds'
  | 'perSecond'
  | 'atFirst'
  | 'atLast'
  | 'noPort'
  | 'clientErrors'
  | 'fallbacks'
  | 'fallback'
>

export class DemoLoad {
  readonly #options: LoadOptions
  readonly #live = new Set<net.Socket>()
  /** When each connection was closed, in seconds since the start. */
  readonly #times: number[] = []
  readonly #clientErrors: Record<string, number> = {}
  #started = performance.now()
  #noPort = 0
  #fallbacks = 0
  #fallback: string | null = null

  constructor(options: LoadOptions) {
    this.#options = options
  }

  async run(): Promise<LoadResult> {
    this.#started = performance.now()
    const { seconds, atLeast } = this.#options
    const limit = (atLeast === undefined ? 1 : 2) * seconds * 1000
    const grace = setTimeout(() => {
      for (const socket of this.#live) socket.destroy()
    }, limit + GRACE_MS)
    const ticker = this.#reportProgress()
    await Promise.all(Array.from({ length: CONCURRENCY }, () => this.#work()))
    clearInterval(ticker)
    clearTimeout(grace)
    return this.#result()
  }

  async #work(): Promise<void> {
    while (this.#goesOn()) {
      const code = await this.#connection()
      if (code === undefined) continue
      if (code === 'EADDRNOTAVAIL') this.#noPort++
      else this.#clientErrors[code] = (this.#clientErrors[code] ?? 0) + 1
      await delay(NO_PORT_PAUSE_MS)
    }
  }

  #goesOn(): boolean {
    const { connections, seconds, atLeast = 0 } = this.#options
    const made = this.#times.length
    const limit = made < atLeast ? 2 * seconds : seconds
    return made + this.#live.size < connections && this.#elapsed() < limit
  }

  /** Makes one connection. @returns the code of the error with which it failed */
  async #connection(): Promise<string | undefined> {
    const { server, confined, mode } = this.#options
    let socket: net.Socket | undefined
    try {
      socket = connectTo(server, confined)
      this.#live.add(socket)
      await answer(socket)
      const report = await closeSocket(socket, mode)
      if (report.fallback !== undefined) {
        this.#fallbacks++
        this.#fallback ??= report.fallback.message
      }
      this.#times.push(this.#elapsed())
      return undefined
    } catch (error) {
      return (error as NodeJS.ErrnoException).code ?? 'unknown'
    } finally {
      if (socket !== undefined) this.#live.delete(socket)
    }
  }

  #reportProgress(): NodeJS.Timeout {
    let before = 0
    let then = performance.now()
    return setInterval(() => {
      const made = this.#times.length
      const now = performance.now()
      const { mode, connections: of, progress } = this.#options
      progress({ mode, made, of, perSecond: rate(made - before, (now - then) / 1000) })
      before = made
      then = now
    }, PROGRESS_MS)
  }

  #result(): LoadResult {
    const times = this.#times
    const made = times.length
    const tenth = Math.ceil(made / 10)
    const seconds = this.#elapsed()
    const last = Math.max(0, Math.min(seconds - AT_LAST_S, times[made - tenth - 1] ?? 0))
    return {
      connections: made,
      seconds,
      perSecond: rate(made, seconds),
      atFirst: rate(tenth, times[tenth - 1] ?? 0),
      atLast: rate(times.filter((time) => time > last).length, seconds - last),
      noPort: this.#noPort,
      clientErrors: this.#clientErrors,
      fallbacks: this.#fallbacks,
      fallback: this.#fallback,
    }
  }

  /** Seconds since the start. */
  #elapsed(): number {
    return (performance.now() - this.#started) / 1000
  }
}

function rate(connections: number, seconds: number): number {
  return seconds > 0 ? connections / seconds : 0
}

/** Sends the request and waits for the whole answer. */
function answer(socket: net.Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    let received = 0
    socket.on('data', (chunk) => {
      received += chunk.length
      if (received >= ANSWER.length) resolve()
    })
    socket.on('error', reject)
    socket.on('close', () => {
      reject(new Error('The connection was closed before its answer was complete'))
    })
    socket.write(REQUEST)
  })
}
