/** Opens and binds the sockets that servers will listen on, with Node's own errors. */
import * as net from 'node:net'
import { fallsBackToTcp, triesMptcp } from '../connect/mptcp'
import { anyPort, type IpFamily } from '../connect/address'
import { listenFailure } from '../connect/bind-failure'
import { DEFAULT_BACKLOG } from '../connect/listening'
import { RawSocket } from '../connect/raw-socket'
import { SocketTunerError } from '../errors'
import { listenBacklogLimit } from '../kernel/proc'
import { onDemand } from '../node/on-demand'
import type { Settings } from '../options/option'
import { settingsOption } from '../options/tune'
import { boolean, text } from '../spec'
import { hazard } from '../warnings'

/** Options of server.listen() that are refused here: ignoring them would open a different socket. */
export const foreign = {
  reusePort: 'must be left out: it is SO_REUSEPORT here',
  signal: 'is for server.listen() only',
} as const

/** The options for the place where a server listens, which several bags share. */
export const listenPlace = {
  /** The port. Default 0: the kernel chooses one. */
  port: anyPort.default(0),
  /**
   * An address of this host, or a name for one. Default: all addresses, that is `::` including IPv4, or `0.0.0.0`
   * on a host without IPv6.
   */
  host: text(),
  /** Excludes IPv4 from `::` (IPV6_V6ONLY, ipv6(7)). Default false. */
  ipv6Only: boolean().default(false),
  /**
   * Uses Multipath TCP (RFC 8684), Linux 5.6+ with net.mptcp.enabled. Without it the server uses TCP, with the warning
   * SOCKET_TUNER_MPTCP_UNAVAILABLE. Default false.
   */
  mptcp: boolean().default(false),
  /**
   * Socket options to set before bind(2) and listen(2). Accepted sockets inherit most of them. SO_REUSEADDR is set
   * as Node does, unless it is included here.
   */
  settings: settingsOption.default({}),
}

/** The address to listen on. */
interface ListenAddress {
  readonly family: IpFamily
  readonly address: string
}

interface BindPlan {
  readonly ipv6Only: boolean
  readonly mptcp?: boolean
  readonly settings: Settings
}

/**
 * Returns a bound socket. Without a host it is bound to all addresses, or to those of IPv4 on a host without IPv6, as
 * in Node.
 *
 * @throws (as a rejection) what `listen()` throws
 */
export async function bind(
  host: string | undefined,
  port: number,
  plan: BindPlan,
): Promise<RawSocket> {
  if (host !== undefined && host !== '') return bindTo(await addressOf(host), port, plan)
  try {
    return bindTo({ family: 6, address: '::' }, port, plan)
  } catch (error) {
    if (plan.ipv6Only || !isWithoutIpv6(error)) throw error
    return bindTo({ family: 4, address: '0.0.0.0' }, port, plan)
  }
}

/** Returns a bound socket. @throws what `listen()` throws; nothing is left open then */
export function bindTo(
  { family, address }: ListenAddress,
  port: number,
  plan: BindPlan,
): RawSocket {
  const { ipv6Only, mptcp = false, settings } = plan
  const first = family === 6 ? { IPV6_V6ONLY: ipv6Only } : {}
  const raw = openAt(family, { SO_REUSEADDR: true, ...first, ...settings }, mptcp, address, port)
  try {
    return raw.bind({ address, port })
  } catch (error) {
    raw.close()
    const reusePort = settings.SO_REUSEPORT === true
    throw listenFailure(error as SocketTunerError, address, port, { reusePort })
  }
}

/** Opens the socket. Reports a refused socket(2) as a failed listen(), as Node does. */
function openAt(
  family: IpFamily,
  settings: Settings,
  mptcp: boolean,
  address: string,
  port: number,
): RawSocket {
  const asMptcp = triesMptcp(mptcp)
  try {
    return RawSocket.open(family, settings, { mptcp: asMptcp })
  } catch (error) {
    if (
      !(error instanceof SocketTunerError) ||
      error.syscall !== 'socket' ||
      error.errno === undefined
    )
      throw error
    if (asMptcp && fallsBackToTcp(error.errno))
      return openAt(family, settings, false, address, port)
    throw listenFailure(error, address, port)
  }
}

/** Warns if the kernel will cut the backlog. @throws ERR_SOCKET_TUNER_HAZARD with `hazards: 'throw'` */
export function warnOfBacklog(backlog: number): void {
  const limit = backlog === DEFAULT_BACKLOG ? undefined : listenBacklogLimit()
  if (limit !== undefined && backlog > limit) {
    hazard(
      'SOCKET_TUNER_BACKLOG_CUT',
      'somaxconn',
      `A backlog of ${String(backlog)} connections is cut to ${String(limit)}, which net.core.somaxconn allows`,
    )
  }
}

/** Resolves a host to its first address, as Node does. */
async function addressOf(host: string): Promise<ListenAddress> {
  const literal = net.isIP(host)
  if (literal !== 0) return { address: host, family: literal as IpFamily }
  const { address, family } = await onDemand.dns.promises.lookup(host)
  return { address, family: family as IpFamily }
}

function isWithoutIpv6(error: unknown): boolean {
  const { code } = error as { code?: string }
  return code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL' || code === 'EPROTONOSUPPORT'
}
