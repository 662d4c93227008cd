/** Bound sockets that do not listen yet, with Node's own errors. */
import { lookup } from 'node:dns/promises'
import * as net from 'node:net'
import { anyPort, type IpFamily } from '../connect/address'
import { listenFailure } from '../connect/bind-failure'
import { RawSocket } from '../connect/raw-socket'
import { SocketTunerError } from '../errors'
import { listenBacklogLimit } from '../kernel/proc'
import type { Settings } from '../options/option'
import { settingsOption } from '../options/tune'
import { boolean, text, whole } from '../spec'
import { hazard } from '../warnings'

const DEFAULT_BACKLOG = 511
const MAX_BACKLOG = 2 ** 31 - 1

/** What server.listen() takes and nothing here does: left out silently, another socket would be opened. */
export const foreign = {
  reusePort: 'must be left out: it is SO_REUSEPORT here',
  signal: 'is for server.listen() only',
} as const

/** Where a server listens, for bags that have it among others. */
export const listenPlace = {
  /** 0 or undefined for one that the kernel chooses. */
  port: anyPort.default(0),
  /**
   * An address of this host, or a name of one. Default all addresses: `::`, IPv4 included, or
   * `0.0.0.0` where there is no IPv6.
   */
  host: text(),
  /** No IPv4 on `::` (IPV6_V6ONLY, ipv6(7)). Default false. */
  ipv6Only: boolean().default(false),
  /**
   * Options in force before bind(2) and listen(2); accepted sockets inherit most of them. SO_REUSEADDR
   * is set as Node sets it, unless it is here.
   */
  settings: settingsOption.default({}),
}

export const backlogField = whole(1, MAX_BACKLOG)
export const backlogOption = backlogField.default(DEFAULT_BACKLOG)

/** What is to be listened on. */
export interface Place {
  readonly family: IpFamily
  readonly address: string
}

export interface BindPlan {
  readonly ipv6Only: boolean
  readonly mptcp?: boolean
  readonly settings: Settings
}

/**
 * A bound socket; for no host or an empty one on all addresses, of IPv4 only where there is no IPv6, as
 * Node does.
 */
export async function bind(
  host: string | undefined,
  port: number,
  plan: BindPlan,
): Promise<RawSocket> {
  if (host !== undefined && host !== '') return bindTo(await placeOf(host), port, plan)
  try {
    return bindTo({ family: 6, address: '::' }, port, plan)
  } catch (error) {
    if (plan.ipv6Only || !isWithoutIpv6(error)) throw error
    return bindTo({ family: 4, address: '0.0.0.0' }, port, plan)
  }
}

/** @throws as `listen()`; nothing is left open then */
export function bindTo({ family, address }: Place, port: number, plan: BindPlan): RawSocket {
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

/** Node calls a socket(2) that is refused a failed listen(). */
function openAt(
  family: IpFamily,
  settings: Settings,
  mptcp: boolean,
  address: string,
  port: number,
): RawSocket {
  try {
    return RawSocket.open(family, settings, { mptcp })
  } catch (error) {
    if (
      error instanceof SocketTunerError &&
      error.syscall === 'socket' &&
      error.errno !== undefined
    )
      throw listenFailure(error, address, port)
    throw error
  }
}

/** Says that the kernel will cut a backlog. @throws ERR_SOCKET_TUNER_HAZARD after configure() */
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

/** The address that a name stands for: the first one, as Node does. */
async function placeOf(host: string): Promise<Place> {
  const literal = net.isIP(host)
  if (literal !== 0) return { address: host, family: literal as IpFamily }
  const { address, family } = await lookup(host)
  return { address, family: family as IpFamily }
}

function isWithoutIpv6(error: unknown): boolean {
  const { code } = error as { code?: string }
  return code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL' || code === 'EPROTONOSUPPORT'
}
