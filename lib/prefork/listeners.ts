import type * as net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { getSystemErrorName } from 'node:util'
import { native } from '../kernel/binding'
import { listenFailure } from '../connect/bind-failure'
import type { RawSocket } from '../connect/raw-socket'
import type { SocketTunerError } from '../errors'
import { BOTH_FAMILIES, dumpSockets } from '../kernel/sock-diag'
import { bytecodeOf } from '../kernel/sock-diag-filter'
import { tcpInfo } from '../observe/tcp-info'
import { setOption } from '../options/access'
import { announce } from '../warnings'
import { bind, bindTo } from '../server/bound'
import type { PreforkPlan } from './options'
import { byCpu, noNewConnections } from './programs'

/**
 * The longest wait for half-open connections: the kernel sends a lost SYN-ACK again after 1 s and after
 * 2 s more. Those of a SYN flood or a scan never complete.
 */
const HALF_OPEN_MS = 3_500
/**
 * The wait where the kernel does not report half-open connections. It is enough for every handshake
 * that loses no packet.
 */
const UNSEEN_MS = 1_000
const FIRST_PAUSE_MS = 10
const LONGEST_PAUSE_MS = 100

/**
 * The listening sockets of a group, one for each worker, which the primary opens and keeps. A worker
 * gets the descriptor of its one; the socket and the connections that wait in it outlive the worker,
 * and so do the numbers by which the kernel chooses among them.
 */
export class Listeners {
  readonly address: net.AddressInfo
  readonly #sockets: readonly RawSocket[]

  private constructor(address: net.AddressInfo, sockets: readonly RawSocket[]) {
    this.address = address
    this.#sockets = sockets
  }

  /** @throws as `listen()`; nothing is left open then */
  static async open(plan: PreforkPlan): Promise<Listeners> {
    const { workers, host, ipv6Only, backlog, steering } = plan
    const sockets: RawSocket[] = []
    // With SO_REUSEPORT another group of the same user would not be in the way: this one finds it.
    const guard = await bind(host, plan.port, { ipv6Only, settings: {} })
    try {
      const { address, port } = guard.localAddress
      const settings = { ...plan.settings, SO_REUSEPORT: true }
      const place = { family: guard.family, address }
      while (sockets.length < workers) sockets.push(bindTo(place, port, { ipv6Only, settings }))
      if (steering === 'cpu') sockets[0]?.tune({ SO_ATTACH_REUSEPORT_CBPF: byCpu(workers) })
      // In this order the kernel numbers them.
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

  /** The descriptor of a worker's socket, which stays the primary's. */
  descriptor(slot: number): number | undefined {
    return this.#sockets[slot]?.fd
  }

  /** From now on no connection is begun. @returns whether the kernel allows that */
  refuse(): boolean {
    try {
      for (const { fd } of this.#sockets) setOption(fd, 'SO_ATTACH_FILTER', noNewConnections)
      return true
    } catch {
      // SO_LOCK_FILTER among the settings, or a policy that keeps filters from this process.
      return false
    }
  }

  /**
   * Resolves when no connection is half-open and none waits to be accepted, or when the time is over.
   *
   * @param isServed whether a slot has a worker that accepts
   */
  async drained(timeoutMs: number, isServed: (slot: number) => boolean): Promise<void> {
    const over = new AbortController()
    const deadline = delay(timeoutMs, undefined, { signal: over.signal }).catch(() => undefined)
    try {
      // A busy thread pool answers late.
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
      const complete = await this.#areComplete(performance.now() - start)
      if (over.aborted) return
      empty = complete && this.#waiting(isServed) === 0 ? empty + 1 : 0
      // A SYN that passed before the filter was there may be half-open only now.
      if (empty === 2) return
      await delay(pause)
    }
  }

  /** Whether no handshake is under way, or has had its time. */
  async #areComplete(passedMs: number): Promise<boolean> {
    if (passedMs > HALF_OPEN_MS) return true
    const count = await halfOpen(this.address)
    return count === 0 || (count === undefined && passedMs > UNSEEN_MS)
  }

  #waiting(isServed: (slot: number) => boolean): number {
    const served = this.#sockets.filter((_, slot) => isServed(slot))
    return served.reduce((sum, { fd }) => sum + (tcpInfo(fd).unacked ?? 0), 0)
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

/**
 * The connections to an address whose handshake is not complete; undefined where the kernel does not
 * report them (NETLINK_SOCK_DIAG is missing or forbidden).
 */
async function halfOpen({ address, port }: net.AddressInfo): Promise<number | undefined> {
  const isWildcard = address === '::' || address === '0.0.0.0'
  const filter = bytecodeOf({ localPort: port, localAddress: isWildcard ? undefined : address })
  try {
    const { total } = await dumpSockets({
      families: BOTH_FAMILIES,
      states: ['SYN_RECV'],
      groupBy: [],
      filter,
    })
    return total
  } catch (error) {
    const { code, message } = error as SocketTunerError
    announce(
      'SOCKET_TUNER_PREFORK_UNSEEN',
      code,
      `prefork() waits ${String(UNSEEN_MS)} ms for connections whose handshake is under way, since the kernel does not report them: ${message}`,
    )
    return undefined
  }
}
