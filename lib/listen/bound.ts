/** Bound sockets that do not listen yet, with Node's own errors. */
import { lookup } from 'node:dns/promises'
import * as net from 'node:net'
import type { IpFamily } from '../connect/address'
import { listenFailure } from '../connect/bind-failure'
import { RawSocket } from '../connect/raw-socket'
import { ArgumentValueError, SocketOptionError, checkWhole } from '../errors'
import { listenBacklogLimit } from '../observe/namespace-facts'
import type { Settings } from '../options/option'
import { hazard } from '../warnings'

const DEFAULT_BACKLOG = 511
const MAX_BACKLOG = 2 ** 31 - 1

/** What server.listen() takes and nothing here does: left out silently, another socket would be opened. */
const foreign: Readonly<Record<string, string>> = {
  fd: 'is for server.listen() only',
  path: 'is for server.listen() only',
  reusePort: 'must be left out: it is SO_REUSEPORT here',
  signal: 'is for server.listen() only',
}

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
    throw listenFailure(error as SocketOptionError, address, port, { reusePort })
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
      error instanceof SocketOptionError &&
      error.syscall === 'socket' &&
      error.errno !== undefined
    )
      throw listenFailure(error, address, port)
    throw error
  }
}

/** @throws ERR_INVALID_ARG_VALUE for an option of server.listen() that would be left out silently */
export function checkNotForeign(options: object): void {
  for (const [name, value] of Object.entries(options)) {
    const reason = Object.hasOwn(foreign, name) ? foreign[name] : undefined
    if (reason !== undefined && value !== undefined && value !== false)
      throw new ArgumentValueError(`options.${name}`, reason, value)
  }
}

/** @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE; ERR_SOCKET_TUNER_HAZARD after configure() */
export function checkBacklog(backlog: number | undefined): number {
  if (backlog === undefined) return DEFAULT_BACKLOG
  checkWhole('options.backlog', backlog, 1, MAX_BACKLOG)
  const limit = listenBacklogLimit()
  if (limit !== undefined && backlog > limit) {
    hazard(
      'SOCKET_TUNER_BACKLOG_CUT',
      'somaxconn',
      `A backlog of ${String(backlog)} connections is cut to ${String(limit)}, which net.core.somaxconn allows`,
    )
  }
  return backlog
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
