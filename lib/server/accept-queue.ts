/** The connections of a listening socket that are not accepted yet: half-open ones, and those in the accept queue. */
import type * as net from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { SocketTunerError } from '../errors'
import { isInternet } from '../kernel/domain'
import { BOTH_FAMILIES, dumpSockets } from '../kernel/sock-diag'
import { bytecodeOf } from '../kernel/sock-diag-filter'
import { handleOf, hasGivenSocket, type Handle } from '../node/handle'
import { onDemand } from '../node/on-demand'
import { tcpInfo } from '../observe/tcp-info'
import { setOption } from '../options/access'
import { announce } from '../warnings'
import { noNewConnections } from './programs'

/**
 * The longest wait for half-open connections: the kernel resends a lost SYN-ACK after 1 s and after another 2 s.
 * Handshakes of a SYN flood or a scan never complete.
 */
const HALF_OPEN_MS = 3_500
/**
 * The wait if the kernel does not report half-open connections: enough for every handshake that loses no packet.
 */
const UNSEEN_MS = 1_000
/** Listening sockets that listen() has opened, so that no other process has them. */
const ownSockets = new WeakSet<Handle>()

/** The number of connections that wait to be accepted; 0 if the socket is not a TCP socket. */
export function waitingOn(fd: number): number {
  return isInternet(fd) ? (tcpInfo(fd).unacked ?? 0) : 0
}

/** Makes the kernel drop the SYN of new connections. @returns whether the kernel allows that */
export function refuseConnections(fd: number): boolean {
  try {
    setOption(fd, 'SO_ATTACH_FILTER', noNewConnections)
    return true
  } catch {
    // The settings contain SO_LOCK_FILTER, or a policy forbids filters.
    return false
  }
}

/** Whether no handshake with an address is under way, or those that are have had enough time. */
export async function areComplete(address: net.AddressInfo, passedMs: number): Promise<boolean> {
  if (passedMs > HALF_OPEN_MS) return true
  const count = await halfOpen(address)
  return count === 0 || (count === undefined && passedMs > UNSEEN_MS)
}

/** Notes that the server's socket was opened for it. */
export function markOwnSocket(server: net.Server): void {
  const handle = handleOf(server)
  if (handle !== undefined) ownSockets.add(handle)
}

/**
 * Resolves when no connection waits to be accepted, at the latest after 3.5 s: when a listening socket is closed, the
 * kernel resets those that wait.
 *
 * @param refuses whether to refuse new connections from now on. It is not done if another process may have the same
 *   socket, which would keep the filter: then the queue is empty at this moment only
 */
export async function untilNoneWaits(server: net.Server, refuses: boolean): Promise<void> {
  const start = performance.now()
  const first = fdOf(server)
  if (first < 0 || !isInternet(first)) return
  const isRefusing = refuses && isOwn(server) && refuseConnections(first)
  const address = server.address() as net.AddressInfo
  let passedMs = 0
  let empty = 0
  while (passedMs < HALF_OPEN_MS) {
    const isComplete = !isRefusing || (await areComplete(address, passedMs))
    await nextTurn()
    const fd = fdOf(server)
    if (fd < 0) return
    empty = isComplete && waitingOn(fd) === 0 ? empty + 1 : 0
    // A SYN that arrived just before the filter may become half-open only now.
    if (empty === (isRefusing ? 2 : 1)) return
    passedMs = performance.now() - start
  }
}

function fdOf(server: net.Server): number {
  return handleOf(server)?.fd ?? -1
}

function isOwn(server: net.Server): boolean {
  const handle = handleOf(server)
  if (onDemand.cluster.isWorker || handle === undefined) return false
  return ownSockets.has(handle) || !hasGivenSocket(server)
}

/**
 * Counts the connections to an address whose handshake is not complete. Undefined if the kernel does not report
 * them (NETLINK_SOCK_DIAG is missing or forbidden).
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
      'SOCKET_TUNER_HANDSHAKES_UNSEEN',
      code,
      `The shutdown waits ${String(UNSEEN_MS)} ms for connections whose handshake is under way, because the kernel does not report them: ${message}`,
    )
    return undefined
  }
}
