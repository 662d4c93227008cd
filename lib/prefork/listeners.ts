import type * as net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { getSystemErrorName } from 'node:util'
import { native } from '../kernel/binding'
import { listenFailure } from '../connect/bind-failure'
import type { RawSocket } from '../connect/raw-socket'
import { areComplete, refuseConnections, waitingOn } from '../server/accept-queue'
import { bind, bindTo } from '../server/bound'
import { byCpu } from '../server/programs'
import type { PreforkPlan } from './prefork-options'

const FIRST_PAUSE_MS = 10
const LONGEST_PAUSE_MS = 100

/**
 * The listening sockets of a group, one for each worker. The primary opens and keeps them, and each worker gets
 * the descriptor of one. A socket, its waiting connections and its number in the kernel's choice thus outlive the
 * worker.
 */
export class Listeners {
  readonly address: net.AddressInfo
  readonly #sockets: readonly RawSocket[]

  private constructor(address: net.AddressInfo, sockets: readonly RawSocket[]) {
    this.address = address
    this.#sockets = sockets
  }

  /** @throws (as a rejection) what `listen()` throws; nothing is left open then */
  static async open(plan: PreforkPlan): Promise<Listeners> {
    const { workers, host, ipv6Only, mptcp, backlog, steering } = plan
    const sockets: RawSocket[] = []
    // With SO_REUSEPORT, another group of the same user on this port would go unnoticed. This socket detects it.
    const guard = await bind(host, plan.port, { ipv6Only, settings: {} })
    try {
      const { address, port } = guard.localAddress
      const settings = { ...plan.settings, SO_REUSEPORT: true }
      const place = { family: guard.family, address }
      const bound = { ipv6Only, mptcp, settings }
      while (sockets.length < workers) sockets.push(bindTo(place, port, bound))
      if (steering === 'cpu') sockets[0]?.tune({ SO_ATTACH_REUSEPORT_CBPF: byCpu(workers) })
      // The kernel numbers the sockets in this order.
      for (const { fd } of sockets) startListening(fd, backlog, { address, port })
      const family = guard.family === 6 ? 'IPv6' : 'IPv4'
      return new Listeners({ address, family, port }, sockets)
    } catch (error) {
      for (const socket of sockets) socket.close()
      throw error
    } finally {
      guard.close()
    }
  }

  /** The descriptor of a worker's socket. It stays open in the primary. */
  descriptor(slot: number): number | undefined {
    return this.#sockets[slot]?.fd
  }

  /** Makes the kernel drop the SYN of new connections. @returns whether the kernel allows that */
  refuse(): boolean {
    return this.#sockets.every(({ fd }) => refuseConnections(fd))
  }

  /**
   * Resolves when no connection is half-open and none waits to be accepted, or at the timeout.
   *
   * @param isServed whether a slot has a worker that accepts connections
   */
  async drained(timeoutMs: number, isServed: (slot: number) => boolean): Promise<void> {
    const over = new AbortController()
    const deadline = delay(timeoutMs, undefined, { signal: over.signal }).catch(() => undefined)
    try {
      // The count may be late if the thread pool is busy.
      await Promise.race([this.#untilEmpty(over.signal, isServed), deadline])
    } finally {
      over.abort()
    }
  }

  close(): void {
    for (const socket of this.#sockets) socket.close()
  }

  async #untilEmpty(over: AbortSignal, isServed: (slot: number) => boolean): Promise<void> {
    const start = performance.now()
    let empty = 0
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      const complete = await areComplete(this.address, performance.now() - start)
      if (over.aborted) return
      empty = complete && this.#waiting(isServed) === 0 ? empty + 1 : 0
      // A SYN that arrived just before the filter may become half-open only now.
      if (empty === 2) return
      await delay(pause)
    }
  }

  #waiting(isServed: (slot: number) => boolean): number {
    const served = this.#sockets.filter((_, slot) => isServed(slot))
    return served.reduce((sum, { fd }) => sum + waitingOn(fd), 0)
  }
}

function startListening(
  fd: number,
  backlog: number,
  { address, port }: { address: string; port: number },
): void {
  const errno = native.listenFd(fd, backlog)
  if (errno < 0) throw listenFailure({ code: getSystemErrorName(errno), errno, fd }, address, port)
}
