import type * as net from 'node:net'
import { standingClose, standingPolicy, type PolicyOptions } from '../close/options'
import { setServerPolicy } from '../close/server-policy'
import { ArgumentTypeError, SocketOptionError } from '../errors'
import { prepareSettings, requirePresent } from '../options/tune'
import { boolean, spec, type InputOf } from '../spec'
import { isServer } from '../target'
import { backlogOption, bind, foreign, listenPlace, warnOfBacklog } from './bound'

export const listenOptions = spec(
  {
    ...listenPlace,
    /** Connections that may wait to be accepted; net.core.somaxconn limits it. Default 511, as in Node. */
    backlog: backlogOption,
    /** Multipath TCP (RFC 8684), Linux 5.6+ with net.mptcp.enabled. Default false. */
    mptcp: boolean().default(false),
    ...standingClose,
  },
  foreign,
)

export type ListenOptions = InputOf<typeof listenOptions>

/**
 * Makes a server listen on a socket whose options are in force before bind(2) and listen(2), and
 * resolves with its address when it is listening. For `net`, `http`, `https`, `http2` and `tls`
 * servers. In a cluster worker the socket is the worker's own, not the primary's.
 *
 * On Windows Node gives no descriptor: there it is `server.listen()`, and settings are refused.
 * SO_REUSEADDR, which lets another process take the port there, is never set.
 *
 * @throws (as a rejection) ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE,
 *   ERR_SOCKET_TUNER_UNKNOWN_OPTION; ERR_SERVER_ALREADY_LISTEN; ERR_SOCKET_TUNER_UNSUPPORTED for an option that is not to be had here;
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
  const checked = listenOptions.check('options', options)
  const { port, host, ipv6Only, backlog, mptcp, settings } = checked
  const prepared = prepareSettings(settings)
  requirePresent(prepared.missing)
  warnOfBacklog(backlog)
  const policy = standingPolicy(checked)
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
