import { lookup } from 'node:dns/promises'
import * as net from 'node:net'
import { constants as os } from 'node:os'
import { getSystemErrorMap } from 'node:util'
import { policyOptions, type CloseModeOptions } from '../close/options'
import type { PolicyOptions } from '../close/policy'
import type { CloseMode } from '../close/report'
import { setServerPolicy } from '../close/server-policy'
import { checkPort, endpoint, type IpFamily } from '../connect/address'
import { RawSocket } from '../connect/raw-socket'
import {
  ArgumentTypeError,
  SocketOptionError,
  checkBoolean,
  checkOptions,
  checkWhole,
} from '../errors'
import { listenBacklogLimit } from '../observe/namespace-facts'
import type { Settings } from '../options/option'
import { prepareSettings, requirePresent } from '../options/tune'
import { isServer } from '../target'
import { hazard } from '../warnings'

export interface ListenOptions extends CloseModeOptions {
  /** 0 or undefined for one that the kernel chooses. */
  port?: number | undefined
  /**
   * An address of this host, or a name of one. Default all addresses: `::`, IPv4 included, or
   * `0.0.0.0` where there is no IPv6.
   */
  host?: string | undefined
  /** No IPv4 on `::` (IPV6_V6ONLY, ipv6(7)). Default false. */
  ipv6Only?: boolean | undefined
  /** Connections that may wait to be accepted; net.core.somaxconn limits it. Default 511, as in Node. */
  backlog?: number | undefined
  /** Multipath TCP (RFC 8684), Linux 5.6+ with net.mptcp.enabled. Default false. */
  mptcp?: boolean | undefined
  /**
   * Options in force before bind(2) and listen(2); accepted sockets inherit most of them. SO_REUSEADDR
   * is set as Node sets it, unless it is here.
   */
  settings?: Settings | undefined
  /** What destroy() and destroySoon() of the accepted sockets do: see `setCloseMode`. */
  closeMode?: CloseMode | undefined
}

const DEFAULT_BACKLOG = 511
const MAX_BACKLOG = 2 ** 31 - 1

/** What is to be listened on. */
interface Place {
  readonly family: IpFamily
  readonly address: string
}

/**
 * Makes a server listen on a socket whose options are in force before bind(2) and listen(2), and
 * resolves with its address when it is listening. For `net`, `http`, `https`, `http2` and `tls`
 * servers. In a cluster worker the socket is the worker's own, not the primary's.
 *
 * On Windows Node gives no descriptor: there it is `server.listen()`, and settings are refused.
 * SO_REUSEADDR, which lets another process take the port there, is never set.
 *
 * @throws (as a rejection) ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE;
 *   ERR_SERVER_ALREADY_LISTEN; ERR_SOCKET_TUNER_UNSUPPORTED for an option that is not to be had here;
 *   as Node EADDRINUSE, EACCES, EADDRNOTAVAIL, with `syscall` 'listen', `address` and `port`; what the
 *   kernel refuses to set. Nothing is left open then
 */
export async function listen(
  server: net.Server,
  options: ListenOptions = {},
): Promise<net.AddressInfo> {
  if (!isServer(server)) {
    throw new ArgumentTypeError(
      'server',
      'an instance of net.Server, http.Server, https.Server, http2.Server or tls.Server',
      server,
    )
  }
  checkOptions('options', options)
  const { host, ipv6Only = false, mptcp = false, settings = {}, closeMode } = options
  const port = checkPort('options.port', options.port)
  if (host !== undefined && typeof (host as unknown) !== 'string')
    throw new ArgumentTypeError('options.host', 'of type string', host)
  checkBoolean('options.ipv6Only', ipv6Only)
  checkBoolean('options.mptcp', mptcp)
  const backlog = checkBacklog(options.backlog)
  const prepared = prepareSettings(settings)
  requirePresent(prepared.missing)
  const policy = closeMode === undefined ? undefined : policyOptions(closeMode, options)
  if (server.listening) throw alreadyListening()
  if (process.platform === 'win32') {
    if (prepared.operations.length > 0 || mptcp) throw notOnWindows()
    return underPolicy(server, policy, () =>
      listenByNode(server, { port, host, ipv6Only, backlog }),
    )
  }
  const bound = await bind(host, port, { ipv6Only, mptcp, settings })
  try {
    return await underPolicy(server, policy, () => bound.listenOn(server, { backlog }))
  } catch (error) {
    bound.close()
    throw error
  }
}

/** The policy must be there at 'listening', and must not when that does not come. */
async function underPolicy<T>(
  server: net.Server,
  options: PolicyOptions | undefined,
  listening: () => Promise<T>,
): Promise<T> {
  const policy = options === undefined ? undefined : setServerPolicy(server, options)
  try {
    return await listening()
  } catch (error) {
    policy?.stop()
    throw error
  }
}

/** @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE; ERR_SOCKET_TUNER_HAZARD after configure() */
function checkBacklog(backlog: number | undefined): number {
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

interface BindPlan {
  readonly ipv6Only: boolean
  readonly mptcp: boolean
  readonly settings: Settings
}

/** A bound socket; for no host on all addresses, of IPv4 only where there is no IPv6, as Node does. */
async function bind(host: string | undefined, port: number, plan: BindPlan): Promise<RawSocket> {
  if (host !== undefined) return bindTo(await placeOf(host), port, plan)
  try {
    return bindTo({ family: 6, address: '::' }, port, plan)
  } catch (error) {
    if (plan.ipv6Only || !isWithoutIpv6(error)) throw error
    return bindTo({ family: 4, address: '0.0.0.0' }, port, plan)
  }
}

function bindTo({ family, address }: Place, port: number, plan: BindPlan): RawSocket {
  const { ipv6Only, mptcp, settings } = plan
  const first = family === 6 ? { IPV6_V6ONLY: ipv6Only } : {}
  const raw = RawSocket.open(family, { SO_REUSEADDR: true, ...first, ...settings }, { mptcp })
  try {
    return raw.bind({ address, port })
  } catch (error) {
    raw.close()
    throw asNode(error as SocketOptionError, address, port)
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

/** A refused bind(2) in the words of Node's own server.listen(). */
function asNode(error: SocketOptionError, address: string, port: number): SocketOptionError {
  const { code, errno = -os.errno.EINVAL, fd } = error
  const [, text = code] = getSystemErrorMap().get(errno) ?? []
  return new SocketOptionError(`listen ${code}: ${text} ${endpoint(address, port)}`, {
    code,
    errno,
    syscall: 'listen',
    address,
    port,
    fd,
    cause: error,
  })
}

function listenByNode(server: net.Server, options: net.ListenOptions): Promise<net.AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(options, () => {
      server.off('error', reject)
      resolve(server.address() as net.AddressInfo)
    })
  })
}

function alreadyListening(): SocketOptionError {
  return new SocketOptionError('The server is listening already', {
    code: 'ERR_SERVER_ALREADY_LISTEN',
  })
}

function notOnWindows(): SocketOptionError {
  return new SocketOptionError(
    'On Windows Node gives no descriptor, so nothing can be set before bind()',
    { code: 'ERR_SOCKET_TUNER_UNSUPPORTED', syscall: 'listen' },
  )
}
