import type * as net from 'node:net'
import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { getSystemErrorName } from 'node:util'
import { native } from '../../binding'
import type { RawSocket } from '../../connect/raw-socket'
import { tcpInfo } from '../../observe/tcp-info'
import { setOption } from '../../options/access'
import { asNode, bind, bindTo } from '../bound'
import type { PreforkPlan } from './options'
import { byCpu, noNewConnections } from './programs'

/**
 * Half-open connections are waited for at most so long: a lost SYN-ACK is sent again after 1 s and
 * after 2 s more. Those of a SYN flood or a scan never complete.
 */
const HALF_OPEN_MS = 3_500
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
    const start = performance.now()
    let empty = 0
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      const passed = performance.now() - start
      const complete = passed > HALF_OPEN_MS || (await halfOpen(this.address.port)) === 0
      empty = complete && this.#waiting(isServed) === 0 ? empty + 1 : 0
      // A SYN that passed before the filter was there may be half-open only now.
      if (empty === 2 || passed > timeoutMs) return
      await delay(pause)
    }
  }

  close(): void {
    for (const socket of this.#sockets) socket.close()
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
  if (errno < 0) throw asNode({ code: getSystemErrorName(errno), errno, fd }, address, port)
}

/** Connections to a port whose handshake is not complete (proc_pid_net(5), tcp). */
async function halfOpen(port: number): Promise<number> {
  const hex = port.toString(16).toUpperCase().padStart(4, '0')
  const synRecv = new RegExp(`:${hex} [0-9A-F]+:[0-9A-F]{4} 03 `, 'g')
  const tables = await Promise.all(
    ['/proc/net/tcp', '/proc/net/tcp6'].map((file) => readFile(file, 'latin1').catch(() => '')),
  )
  return tables.reduce((sum, table) => sum + (table.match(synRecv)?.length ?? 0), 0)
}
