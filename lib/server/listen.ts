import type * as net from 'node:net'
import { inspect } from 'node:util'
import { close, type PolicyOptions } from '../close/options'
import { setServerPolicy } from '../close/server-policy'
import { untilListening } from '../connect/open'
import { ArgumentTypeError, ArgumentValueError, SocketTunerError } from '../errors'
import { prepareSettings, requirePresent } from '../options/tune'
import { requireUnix } from '../options/unix'
import { boolean, spec, whole, type InputOf, type OutputOf } from '../spec'
import { isServer } from '../target'
import { backlogOption, bind, foreign, listenPlace, warnOfBacklog } from './bound'
import { listenOnInherited } from './inherited'
import { listenOnPath, unixPath } from './unix-server'

const MAX_FD = 2 ** 31 - 1

export const listenOptions = spec(
  {
    ...listenPlace,
    /**
     * A unix-domain socket, in place of port and host: a path of at most 108 bytes (macOS: 104), on Linux
     * also an abstract name after a NUL; a named pipe on Windows.
     */
    path: unixPath,
    /**
     * A descriptor in place of port and host: a stream socket of TCP or of the unix domain, bound or
     * listening, as systemd gives it (sd_listen_fds(3)). Not on Windows.
     */
    fd: whole(0, MAX_FD),
    /** Connections that may wait to be accepted; net.core.somaxconn limits it. Default 511, as in Node. */
    backlog: backlogOption,
    /** Multipath TCP (RFC 8684), Linux 5.6+ with net.mptcp.enabled. Default false. */
    mptcp: boolean().default(false),
    /** What destroy() and destroySoon() of the accepted sockets do: see `setCloseMode`. Default: as Node does. */
    close,
  },
  foreign,
)

export type ListenOptions = InputOf<typeof listenOptions>

/** Options that name no TCP port to be bound, and those that only such a port can have. */
const otherPlaces = ['path', 'fd'] as const
const portOnly = ['port', 'host', 'ipv6Only', 'mptcp'] as const

/**
 * Makes a server listen on a socket whose options are in force before bind(2) and listen(2), and
 * resolves with its address when it is listening. For `net`, `http`, `https`, `http2` and `tls`
 * servers. In a cluster worker the socket is the worker's own, not the primary's.
 *
 * On a unix-domain socket nothing is inherited: settings are set on each connection, and one that does
 * nothing there is refused. It resolves with the socket's name, as `server.address()` has it.
 *
 * A descriptor (`fd`) is the server's when it listens, and stays open when it is refused.
 *
 * On Windows Node gives no descriptor: there it is `server.listen()`, and settings are refused.
 * SO_REUSEADDR, which lets another process take the port there, is never set.
 *
 * @throws (as a rejection) ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE,
 *   ERR_SOCKET_TUNER_UNKNOWN_OPTION; ERR_SERVER_ALREADY_LISTEN; ERR_SOCKET_TUNER_UNSUPPORTED for an option
 *   that is not to be had here;
 *   ERR_SOCKET_TUNER_WRONG_SOCKET for a setting of another kind of socket, and for a descriptor that is no
 *   stream socket or is connected; as Node EADDRINUSE, EACCES, EADDRNOTAVAIL, with `syscall` 'listen',
 *   `address` and `port`; what the kernel refuses to set. Nothing is left open then
 */
export function listen(
  server: net.Server,
  options?: ListenOptions & { path?: undefined; fd?: undefined },
): Promise<net.AddressInfo>
export function listen(
  server: net.Server,
  options: ListenOptions & { path: string },
): Promise<string>
export function listen(
  server: net.Server,
  options: ListenOptions,
): Promise<net.AddressInfo | string>
export async function listen(
  server: net.Server,
  options: ListenOptions = {},
): Promise<net.AddressInfo | string> {
  if (!isServer(server)) {
    throw new ArgumentTypeError(
      'server',
      'an instance of net.Server, http.Server, https.Server, http2.Server or tls.Server',
      server,
    )
  }
  const checked = listenOptions.check('options', options)
  checkPlace(options)
  const { path, fd, backlog, settings } = checked
  const prepared = prepareSettings(settings)
  requirePresent(prepared.missing)
  if (path !== undefined) requireUnix(prepared, inspect(path))
  warnOfBacklog(backlog)
  if (server.listening) throw alreadyListening()
  if (process.platform === 'win32') {
    if (prepared.operations.length > 0 || checked.mptcp || fd !== undefined) throw notOnWindows()
  }
  return underPolicy(server, checked.close, () => {
    if (path !== undefined) return listenOnPath(server, path, backlog, settings)
    if (fd !== undefined) return listenOnInherited(server, fd, backlog, settings)
    return listenOnPort(server, checked)
  })
}

/** On a port of TCP. */
async function listenOnPort(
  server: net.Server,
  { port, host, ipv6Only, backlog, mptcp, settings }: OutputOf<typeof listenOptions>,
): Promise<net.AddressInfo> {
  if (process.platform === 'win32') {
    await untilListening(server, () => server.listen({ port, host, ipv6Only, backlog }))
    return server.address() as net.AddressInfo
  }
  const bound = await bind(host, port, { ipv6Only, mptcp, settings })
  try {
    return await bound.listenOn(server, { backlog })
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

/** @throws ERR_INVALID_ARG_VALUE for two places to listen on */
function checkPlace(options: ListenOptions): void {
  const isGiven = (name: (typeof otherPlaces | typeof portOnly)[number]): boolean =>
    options[name] !== undefined && options[name] !== false
  const [first, second] = [...otherPlaces, ...portOnly].filter(isGiven)
  if (first !== 'path' && first !== 'fd') return
  if (second !== undefined)
    throw new ArgumentValueError(
      `options.${second}`,
      `cannot go together with ${first}`,
      options[second],
    )
}

function alreadyListening(): SocketTunerError {
  return new SocketTunerError('The server is listening already', {
    code: 'ERR_SERVER_ALREADY_LISTEN',
  })
}

function notOnWindows(): SocketTunerError {
  return new SocketTunerError(
    'On Windows Node gives no descriptor, so nothing can be set before bind()',
    { code: 'ERR_SOCKET_TUNER_UNSUPPORTED', syscall: 'listen' },
  )
}
