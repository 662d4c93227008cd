import type * as net from 'node:net'
import { inspect } from 'node:util'
import type { PolicyOptions } from '../close/mode'
import { close } from '../close/close-options'
import { setServerPolicy } from '../close/server-policy'
import { alreadyListening, backlogOption, untilListening } from '../connect/listening'
import { ArgumentTypeError, ArgumentValueError, SocketTunerError } from '../errors'
import { prepareSettings, requirePresent } from '../options/tune'
import { requireUnix } from '../options/unix-settings'
import { MAX_INT32, spec, whole, type InputOf, type OutputOf } from '../spec'
import { isServer } from '../target'
import { markOwnSocket } from './accept-queue'
import { bind, foreign, listenPlace, warnOfBacklog } from './bound'
import {
  connectionLimits,
  hasLimits,
  connectionLimitsOf,
  requireHttp,
  type ConnectionLimits,
} from './connection-limits'
import { listenOnInherited } from './inherited'
import { retirementOf } from './retirement'
import { listenOnPath, unixPath } from './unix-server'

export const listenOptions = spec(
  {
    ...listenPlace,
    /**
     * A unix-domain socket instead of a port: a path of at most 108 bytes (macOS: 104), or on Linux an abstract name
     * that begins with a NUL. On Windows, a named pipe.
     */
    path: unixPath,
    /**
     * A descriptor instead of a port: a bound or listening stream socket of TCP or of the unix domain, for example
     * from systemd (sd_listen_fds(3)). Not on Windows.
     */
    fd: whole(0, MAX_INT32),
    /** The most connections that may wait to be accepted; limited by net.core.somaxconn. Default 511, as in Node. */
    backlog: backlogOption,
    /** The standing close mode of the accepted sockets: see `setCloseMode`. Default: Node's own close. */
    close,
    ...connectionLimits.fields,
  },
  foreign,
)

export type ListenOptions = InputOf<typeof listenOptions>

/** Options for other places than a TCP port, and options that only apply to a TCP port. */
const otherPlaces = ['path', 'fd'] as const
const portOnly = ['port', 'host', 'ipv6Only', 'mptcp'] as const

/**
 * Makes a server listen on a socket whose options are set before bind(2) and listen(2). Resolves with the address when
 * the server listens. For `net`, `http`, `https`, `http2` and `tls` servers. In a cluster worker the socket belongs to
 * the worker, not to the primary.
 *
 * Connections of a unix-domain socket inherit nothing, so settings are set on each of them. A setting without effect
 * there is refused. Resolves with the name of the socket, as in `server.address()`.
 *
 * The server owns a descriptor (`fd`) once it listens on it. A refused descriptor stays open.
 *
 * On Windows, Node exposes no descriptors: this function then calls `server.listen()` and refuses settings. It never
 * sets SO_REUSEADDR there, which would let another process take the port.
 *
 * @throws (as a rejection) ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE,
 *   ERR_SOCKET_TUNER_UNKNOWN_OPTION; ERR_SERVER_ALREADY_LISTEN; ERR_SOCKET_TUNER_UNSUPPORTED for an option that this
 *   platform lacks; ERR_SOCKET_TUNER_WRONG_SOCKET for a setting of another kind of socket, and for a descriptor that
 *   is not a stream socket or is connected; EADDRINUSE, EACCES and EADDRNOTAVAIL as in Node, with `syscall` 'listen',
 *   `address` and `port`; the name of the errno if the kernel refuses a setting. Nothing is left open then
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
  const limits = connectionLimitsOf(checked)
  const prepared = prepareSettings(settings)
  requirePresent(prepared.missing)
  requireHttp(server, limits, 'options')
  if (path !== undefined) requireUnix(prepared, inspect(path))
  warnOfBacklog(backlog)
  if (server.listening) throw alreadyListening('The server')
  if (process.platform === 'win32') {
    if (prepared.operations.length > 0 || checked.mptcp || fd !== undefined) throw notOnWindows()
  }
  return underPolicy(server, checked.close, () =>
    underLimits(server, limits, () => {
      if (path !== undefined) return listenOnPath(server, path, backlog, settings)
      if (fd !== undefined) return listenOnInherited(server, fd, backlog, settings)
      return listenOnPort(server, checked)
    }),
  )
}

/** Listens on a TCP port. */
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
    const address = await bound.listenOn(server, { backlog })
    markOwnSocket(server)
    return address
  } catch (error) {
    bound.close()
    throw error
  }
}

/** Sets the close mode before 'listening', and removes it if listening fails. */
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

/** Sets the limits before 'listening', and removes them if listening fails. */
async function underLimits<T>(
  server: net.Server,
  limits: ConnectionLimits,
  listening: () => Promise<T>,
): Promise<T> {
  if (!hasLimits(limits)) return listening()
  const retirement = retirementOf(server)
  retirement.limit(limits)
  try {
    return await listening()
  } catch (error) {
    retirement.unlimit(limits)
    throw error
  }
}

/** @throws ERR_INVALID_ARG_VALUE for a combination of places, such as `path` and `port` */
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

function notOnWindows(): SocketTunerError {
  return new SocketTunerError(
    'On Windows Node exposes no descriptors, so nothing can be set before bind()',
    { code: 'ERR_SOCKET_TUNER_UNSUPPORTED', syscall: 'listen' },
  )
}
