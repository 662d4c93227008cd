/** The end of a server's connections: by the limits of its tuning, and when the server itself ends. */
import type * as net from 'node:net'
import { socketsAcceptedBy } from '../node/accepted'
import { httpConnections, stopChecking, stopListening } from '../node/http-connections'
import { untilNoneWaits } from './accept-queue'
import {
  hasLimits,
  noLimits,
  speaksHttp1,
  speaksHttp2,
  type ConnectionLimits,
} from './connection-limits'
import { Http1Lives } from './http1-lives'
import { Http2Lives } from './http2-lives'
import { Lives, type Life, type RetirementReason, type RetirementWay } from './life'

/**
 * The silence after which a kept connection is closed, as a share of the timeout: 1 s by default. A client in the
 * middle of its work sends its next request sooner.
 */
const IDLE_SHARE = 1 / 8
/** The same for a connection without a request yet. */
const UNUSED_SHARE = 1 / 2
const SHORTEST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5_000

/** How a server ends. */
export interface EndPlan {
  /** The time over which its connections end, ms. */
  readonly overMs: number
  /** The timeout, ms. The caller destroys the connections that are open then. */
  readonly deadlineMs: number
  /** The time until it stops accepting connections, ms. */
  readonly acceptMs: number
  /**
   * Connections that wait to be accepted then: `leave` them to other processes with the same socket, `accept` them, or
   * accept them and `refuse` new ones meanwhile.
   */
  readonly queue: 'leave' | 'accept' | 'refuse'
}

const retirements = new WeakMap<net.Server, Retirement>()

/** Returns the retirement of a server. It tracks the HTTP/2 sessions that begin after the first call. */
export function retirementOf(server: net.Server): Retirement {
  let retirement = retirements.get(server)
  if (retirement === undefined) {
    retirement = new Retirement(server)
    retirements.set(server, retirement)
  }
  return retirement
}

export class Retirement {
  readonly #server: net.Server & { closeIdleConnections?: () => void }
  readonly #lives = new Lives()
  readonly #http1: Http1Lives | undefined
  readonly #http2: Http2Lives | undefined
  #timer: NodeJS.Timeout | undefined
  #pauseMs = LONGEST_PAUSE_MS
  #endingSince = Infinity

  constructor(server: net.Server) {
    this.#server = server
    this.#http1 = speaksHttp1(server) ? new Http1Lives(server, this.#lives) : undefined
    this.#http2 = speaksHttp2(server) ? new Http2Lives(server, this.#lives) : undefined
  }

  /** Connections retired so far, by reason: a snapshot. */
  get retired(): Record<RetirementReason, number> {
    return this.#lives.retired
  }

  /** The same by way, of those that were open when the server began to end last, or came later. */
  get ways(): Record<RetirementWay, number> {
    return this.#lives.ways
  }

  get limits(): ConnectionLimits {
    return this.#lives.limits
  }

  /** Sets the limits of the server's connections, in place of those before. The age of open ones begins now. */
  limit(limits: ConnectionLimits): void {
    this.#lives.limits = limits
    const now = performance.now()
    for (const life of this.#all()) this.#lives.renew(life, now)
    if (!this.#lives.isEnding) this.#follow()
  }

  /** Takes limits back, unless there are others by now. */
  unlimit(limits: ConnectionLimits): void {
    if (this.#lives.limits === limits) this.limit(noLimits)
  }

  /** Ends each connection where its protocol lets it. Resolves when the last one is closed. */
  async end({ overMs, deadlineMs, acceptMs, queue }: EndPlan): Promise<void> {
    const now = performance.now()
    const leftMs = Math.max(0, deadlineMs - overMs)
    const idleMs = leftMs * IDLE_SHARE
    this.#endingSince = now
    this.#lives.endAll(this.#all(), now, overMs)
    this.#lives.patience = { idleMs, unusedMs: leftMs * UNUSED_SHARE }
    this.#http1?.follow()
    this.#http2?.follow()
    this.#check()
    this.#checkEvery(Math.min(idleMs / 10, 1_000))
    const closed = this.#untilClosed()
    const refusal = setTimeout(() => {
      void this.#stopAccepting(queue)
    }, acceptMs)
    refusal.unref()
    await closed
    clearTimeout(refusal)
    stopChecking(this.#server)
    this.#endingSince = Infinity
    this.#lives.over()
    // The server may listen again.
    this.#follow()
  }

  /** Destroys all connections. */
  cut(): void {
    const server = this.#server
    if (server.listening) stopListening(server, nothing)
    for (const life of this.#all()) this.#lives.outlived(life)
    this.#http2?.destroy()
    for (const socket of httpConnections(server)) socket.destroy()
    for (const socket of socketsAcceptedBy(server)) socket.destroy()
  }

  /** Starts or stops the checks that the limits need. */
  #follow(): void {
    const server = this.#server
    const { limits } = this.#lives
    server.off('listening', this.#start)
    server.off('close', this.#stop)
    this.#stop()
    if (!hasLimits(limits)) {
      this.#http1?.stop()
      this.#http2?.stop()
      return
    }
    this.#http1?.follow()
    this.#http2?.follow()
    if (limits.maxConnectionAgeMs === undefined) return
    server.on('listening', this.#start)
    server.on('close', this.#stop)
    if (server.listening) this.#start()
  }

  readonly #start = (): void => {
    this.#checkEvery((this.#lives.limits.maxConnectionAgeMs ?? Infinity) / 20)
  }

  readonly #stop = (): void => {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #checkEvery(ms: number): void {
    this.#stop()
    const pauseMs = Math.min(Math.max(ms, SHORTEST_PAUSE_MS), LONGEST_PAUSE_MS)
    this.#timer = setInterval(this.#check, pauseMs).unref()
  }

  readonly #check = (): void => {
    const now = performance.now()
    this.#http2?.retireDue(now)
    if (this.#http1 === undefined || this.#http1.retireDue(now)) return
    // There is no list of connections in other runtimes.
    if (now - this.#endingSince > this.#lives.patience.idleMs) this.#server.closeIdleConnections?.()
  }

  #all(): Life[] {
    return [...(this.#http1?.all() ?? []), ...(this.#http2?.all() ?? [])]
  }

  async #stopAccepting(queue: EndPlan['queue']): Promise<void> {
    if (queue !== 'leave') await untilNoneWaits(this.#server, queue === 'refuse')
    if (this.#lives.isEnding && this.#server.listening) stopListening(this.#server, nothing)
  }

  #untilClosed(): Promise<void> {
    const server = this.#server
    return new Promise((resolve) => {
      server.once('close', resolve)
      if (server.listening) return
      // The application has closed the server, and no connection may be left.
      server.getConnections((_error, count) => {
        if (count === 0) resolve()
      })
    })
  }
}

function nothing(): void {
  // The server's 'close' event is awaited instead.
}
