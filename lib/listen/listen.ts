import type * as net from 'node:net'
import { policyOptions, type CloseModeOptions } from '../close/options'
import type { PolicyOptions } from '../close/policy'
import type { CloseMode } from '../close/report'
import { setServerPolicy } from '../close/server-policy'
import { checkPort } from '../connect/address'
import { ArgumentTypeError, SocketOptionError, checkBoolean, checkOptions } from '../errors'
import type { Settings } from '../options/option'
import { prepareSettings, requirePresent } from '../options/tune'
import { isServer } from '../target'
import { bind, checkBacklog, checkNotForeign } from './bound'

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
  checkNotForeign(options)
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
