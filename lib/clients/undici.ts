/**
 * A `connect` function for undici's clients, pools and agents, and through them for fetch: sets options before
 * connect(2), and a close mode. undici itself is not loaded. Its types are described here; they are the same in
 * releases 6, 7 and 8.
 */
import { isIP, type Socket } from 'node:net'
import type * as tls from 'node:tls'
import { ArgumentTypeError, ArgumentValueError, isObject, SocketTunerError } from '../errors'
import { isStreamSocket } from '../target'
import { limitConnect } from './undici/connect-timeout'
import { follow } from './undici/kept-connection'
import {
  prepare,
  type PreparedOptions,
  type SharedOptions,
  type TunedConnectorOptions,
} from './undici/connector-options'
import { ReadyConnections } from './undici/ready-connections'
import { SessionCache } from './undici/session-cache'
import { OPENED_WITHIN_MS } from './sockets/min-idle'
import { newCounters, type ReuseCounters } from './sockets/reuse'

export type { ReuseCounters } from './sockets/reuse'
export type { TunedConnectorOptions } from './undici/connector-options'

/** The parameters that undici passes to a connector. */
export interface ConnectParameters {
  /** Without the brackets of an IPv6 address. */
  hostname: string
  /** As in the URL, with the port. */
  host?: string | undefined
  /** `'https:'`; any other protocol is connected to without TLS. */
  protocol: string
  /** Empty for the default port of the protocol. */
  port: string
  servername?: string | null | undefined
  localAddress?: string | null | undefined
  /** A connection through a proxy, to which TLS is added. */
  httpSocket?: Socket | undefined
  /** An option of the client, in undici 7 and 8. */
  socketPath?: string | null | undefined
  allowH2?: boolean | undefined
}

export type ConnectCallback = (...result: [null, Socket | tls.TLSSocket] | [Error, null]) => void

/** Returns the socket that is connecting; undefined on failure, which the callback also reports. */
export type ConnectFunction = (
  parameters: ConnectParameters,
  callback: ConnectCallback,
) => Socket | undefined

export interface TunedConnector extends ConnectFunction {
  /** Returns a snapshot of the counters of its HTTP/1 connections. */
  counters: () => ReuseCounters
  /**
   * Opens `minIdle` connections before undici requests one, and keeps as many ready until {@link close}.
   *
   * They do not keep the process running, except that a connect() in progress may do so until its time limit.
   *
   * @param origin a URL, or the parameters that undici passes to a connector
   * @returns resolves when they are ready; at once for a server that speaks HTTP/2. Rejects with the error of the
   *   first one that fails, or with ERR_SOCKET_TUNER_DESTROYED at close(). Further attempts follow all the same, so the
   *   promise may be ignored.
   * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_URL; ERR_INVALID_ARG_VALUE for another protocol and without `minIdle`
   */
  warm: (origin: string | URL | ConnectParameters) => Promise<void>
  /** Closes the connections that are kept ready, and opens no more until {@link warm}. Those that undici has stay open. */
  close: () => void
}

/** The buffer sizes that undici sets: Node's default for file streams, and the size of a TLS record. */
const HIGH_WATER_MARK = 64 * 1024
const TLS_HIGH_WATER_MARK = 16 * 1024

/**
 * Returns a connector: `new Agent({ connect: tunedConnector({ settings, source, close }) })`.
 *
 * It takes the options of undici's own connector and behaves like it: TCP_NODELAY and keep-alive after 60 s (unless
 * `settings` override them), TLS with ALPN, a cache of TLS sessions, and a time limit (`timeout`, ms) that fails with
 * UND_ERR_CONNECT_TIMEOUT. In addition, the settings are in force before connect(2) on every address that is tried, and
 * undici's destroy() closes in the mode of `close`. The default, `deliver`, loses no byte and leaves no TIME_WAIT
 * (Linux; `fin` elsewhere).
 *
 * An error of one connection goes to the callback, once. An `httpSocket` only gets TLS, and the close mode if it has
 * none.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE,
 *   ERR_SOCKET_TUNER_ADDRESS_FAMILY, ERR_SOCKET_TUNER_UNSUPPORTED, and what tls.createSecureContext()
 *   throws
 */
export function tunedConnector(options: TunedConnectorOptions = {}): TunedConnector {
  const prepared = prepare(options)
  const { retry, minIdle, timeoutMs } = prepared
  const sessions = new SessionCache(prepared.maxCachedSessions)
  const counters = newCounters()
  const begin = (
    parameters: ConnectParameters,
    limitMs: number,
    callback: ConnectCallback,
  ): Socket | undefined => {
    const isTls = parameters.protocol === 'https:'
    let socket: Socket
    try {
      socket = isTls ? openTls(parameters, prepared, sessions) : open(parameters, prepared)
    } catch (error) {
      process.nextTick(callback, error, null)
      return undefined
    }
    counters.created++
    const cancel = limitConnect(socket, limitMs, `${parameters.hostname}:${parameters.port}`)
    settleOnce(socket, isTls ? 'secureConnect' : 'connect', cancel, callback)
    return socket
  }
  const ready = new ReadyConnections<ConnectParameters>(
    minIdle,
    counters,
    (parameters, done) => begin(parameters, timeoutMs || OPENED_WITHIN_MS, done),
    (socket) => !isHttp2(socket),
  )
  const connect: ConnectFunction = (given, callback) => {
    const parameters = withPort(given)
    if (minIdle === 0 || parameters.httpSocket !== undefined) {
      return begin(parameters, timeoutMs, (...result) => {
        const [, connected] = result
        // HTTP/2 has rules of its own.
        if (connected !== null && !isHttp2(connected)) follow(connected, counters, retry)
        callback(...result)
      })
    }
    const name = nameOf(parameters, prepared)
    const requested = (): void => {
      ready.minIdle.requested(name, () => parameters)
    }
    const origin = {
      requested,
      answered: (limitMs: number) => {
        ready.answered(name, limitMs)
      },
    }
    const waiting = ready.take(name)
    requested()
    if (waiting !== undefined) {
      follow(waiting, counters, retry, { ...origin, wasIdle: true })
      process.nextTick(callback, null, waiting)
      return waiting
    }
    return begin(parameters, timeoutMs, (...result) => {
      const [, connected] = result
      if (connected !== null && !isHttp2(connected))
        follow(connected, counters, retry, { ...origin, wasIdle: false })
      callback(...result)
    })
  }
  return Object.assign(connect, {
    counters: () => ({ ...counters }),
    warm: (given: string | URL | ConnectParameters) => {
      if (minIdle === 0)
        throw new ArgumentValueError('options.minIdle', 'must be at least 1 for warm()', minIdle)
      const parameters = withPort(parametersOf(given))
      return ready.minIdle.warm(nameOf(parameters, prepared), () => parameters)
    },
    close: () => {
      ready.close()
    },
  })
}

function withPort(parameters: ConnectParameters): ConnectParameters {
  if (parameters.port !== '') return parameters
  return { ...parameters, port: parameters.protocol === 'https:' ? '443' : '80' }
}

/** @throws ERR_INVALID_URL, ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE */
function parametersOf(given: unknown): ConnectParameters {
  if (typeof given !== 'string' && !(given instanceof URL)) {
    if (!isObject(given))
      throw new ArgumentTypeError('origin', 'a string, a URL or of type object', given)
    return given as unknown as ConnectParameters
  }
  const { protocol, hostname, host, port } = new URL(given)
  if (protocol !== 'http:' && protocol !== 'https:')
    throw new ArgumentValueError('origin', "must be an 'http:' or 'https:' URL", given)
  return { protocol, hostname: hostname.replace(/^\[(.*)\]$/, '$1'), host, port }
}

/** Connections with equal names can take each other's place. */
function nameOf(parameters: ConnectParameters, prepared: PreparedOptions): string {
  const { protocol, hostname, port, localAddress, socketPath } = parameters
  const isTls = protocol === 'https:'
  const tlsParts = isTls
    ? [serverNameFor(parameters, prepared), protocols(parameters, prepared).join()]
    : []
  const parts = [localAddress, socketPath, ...tlsParts].filter(isGiven)
  return [`${protocol}//${hostname}:${port}`, ...parts].join(' ')
}

function serverNameFor(
  { servername, host }: ConnectParameters,
  { shared }: PreparedOptions,
): string | undefined {
  return [servername, shared.servername, serverNameOf(host)].find(isGiven)
}

function isHttp2(socket: Socket): boolean {
  return (socket as Partial<tls.TLSSocket>).alpnProtocol === 'h2'
}

function open(parameters: ConnectParameters, prepared: PreparedOptions): Socket {
  if (parameters.httpSocket !== undefined)
    throw new ArgumentValueError('httpSocket', 'goes with https: only', parameters.protocol)
  const options = { highWaterMark: HIGH_WATER_MARK, ...destination(parameters, prepared) }
  const socket = prepared.connector.connect(options)
  // undici uses HTTP/2 if it finds this property.
  return prepared.useH2c ? Object.assign(socket, { alpnProtocol: 'h2' }) : socket
}

function openTls(
  parameters: ConnectParameters,
  prepared: PreparedOptions,
  sessions: SessionCache,
): tls.TLSSocket {
  const { connector, shared, secureContext } = prepared
  const to = destination(parameters, prepared)
  const servername = serverNameFor(parameters, prepared)
  const server = `${servername ?? parameters.hostname}:${parameters.port}`
  const options = {
    highWaterMark: TLS_HIGH_WATER_MARK,
    ...to,
    secureContext,
    servername,
    session: shared.session ?? sessions.get(server),
    ALPNProtocols: shared.ALPNProtocols ?? protocols(parameters, prepared),
  }
  const { httpSocket } = parameters
  const socket =
    httpSocket === undefined ? connector.connectTls(options) : over(httpSocket, options, prepared)
  return socket.on('session', (session) => {
    sessions.set(server, session)
  })
}

type ConnectTarget = SharedOptions & { host: string; port: number; path: string | undefined }

/** The options for net.connect(). The parameters of undici take precedence over the connector's options. */
function destination(
  { hostname, port, localAddress, ...asked }: ConnectParameters,
  { shared, ...prepared }: PreparedOptions,
): ConnectTarget {
  const path = prepared.socketPath ?? asked.socketPath ?? undefined
  return {
    ...shared,
    host: hostname,
    port: Number(port),
    localAddress: localAddress ?? shared.localAddress,
    path,
  }
}

function isGiven(name: string | null | undefined): name is string {
  return name !== undefined && name !== null && name !== ''
}

/** The host of `host:port`; undefined for an IP address, which is no server name (RFC 6066 section 3). */
function serverNameOf(host = ''): string | undefined {
  const end = host.indexOf(':')
  const name = host.startsWith('[') ? '' : host.slice(0, end < 0 ? undefined : end)
  return name === '' || isIP(name) !== 0 ? undefined : name
}

function protocols(
  parameters: ConnectParameters,
  { allowH2, preferH2 }: PreparedOptions,
): string[] {
  if (!(allowH2 ?? parameters.allowH2 ?? false)) return ['http/1.1']
  return preferH2 ? ['h2', 'http/1.1'] : ['http/1.1', 'h2']
}

/** Adds TLS to a connection that undici made. Sets options only if it is a socket. */
function over(
  carrier: Socket,
  options: ConnectTarget,
  { shared, connector }: PreparedOptions,
): tls.TLSSocket {
  const isSocket = isStreamSocket(carrier)
  // Set here, since in some releases of Node the TLS socket does not pass them down.
  if (isSocket && shared.noDelay === true) carrier.setNoDelay(true)
  if (isSocket && shared.keepAlive === true)
    carrier.setKeepAlive(true, shared.keepAliveInitialDelay)
  return connector.wrapTls(carrier, options)
}

function settleOnce(
  socket: Socket,
  ready: 'connect' | 'secureConnect',
  cancel: () => void,
  callback: ConnectCallback,
): void {
  let isSettled = false
  const settle: ConnectCallback = (...result) => {
    if (isSettled) return
    isSettled = true
    cancel()
    callback(...result)
  }
  socket.once(ready, () => {
    settle(null, socket)
  })
  // This listener stays: undici adds its own later and removes it earlier than the last error may come.
  socket.on('error', (error) => {
    settle(error, null)
  })
  socket.once('close', () => {
    settle(destroyedEarly(), null)
  })
}

function destroyedEarly(): SocketTunerError {
  return new SocketTunerError('The socket was destroyed while it was connecting', {
    code: 'ERR_SOCKET_TUNER_DESTROYED',
    syscall: 'connect',
  })
}
