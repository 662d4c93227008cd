/**
 * undici's `connect`: connections with options before connect(2) and a close mode, for its clients,
 * pools and agents, and through them for fetch. Undici itself is not loaded: what it gives and takes
 * is described here, and is the same in its releases 6, 7 and 8.
 */
import { isIP, type Socket } from 'node:net'
import type * as tls from 'node:tls'
import { ArgumentValueError, SocketTunerError } from '../errors'
import { isStreamSocket } from '../target'
import { limitConnect } from './undici/connect-timeout'
import {
  prepare,
  type Prepared,
  type SharedOptions,
  type TunedConnectorOptions,
} from './undici/options'
import { SessionCache } from './undici/session-cache'

export type { TunedConnectorOptions } from './undici/options'

/** What undici says of a connection that it wants. */
export interface ConnectParameters {
  /** Without the brackets of an IPv6 address. */
  hostname: string
  /** As in the URL, with the port. */
  host?: string | undefined
  /** `'https:'`, or what is connected to without TLS. */
  protocol: string
  /** Empty for the protocol's own. */
  port: string
  servername?: string | null | undefined
  localAddress?: string | null | undefined
  /** A connection through a proxy, over which TLS is to be spoken. */
  httpSocket?: Socket | undefined
  /** Of the client's own options, in undici 7 and 8. */
  socketPath?: string | null | undefined
  allowH2?: boolean | undefined
}

export type ConnectCallback = (...result: [null, Socket | tls.TLSSocket] | [Error, null]) => void

/** Returns the socket while it connects; undefined when it cannot, which the callback is told too. */
export type TunedConnector = (
  parameters: ConnectParameters,
  callback: ConnectCallback,
) => Socket | undefined

/** Node's own, of file streams and of TLS records: as undici sets them. */
const HIGH_WATER_MARK = 64 * 1024
const TLS_HIGH_WATER_MARK = 16 * 1024

/**
 * Makes a connector: `new Agent({ connect: tunedConnector({ settings, source, close }) })`.
 *
 * It takes what undici's own connector takes and does as that does: TCP_NODELAY and keep-alive after
 * 60 s (unless `settings` say otherwise), TLS with ALPN, a cache of TLS sessions, and a time limit
 * (`timeout`, ms) that fails with UND_ERR_CONNECT_TIMEOUT. Beyond that, the settings are in force
 * before connect(2) on every address that is tried, and undici's destroy() closes as `close` says, by
 * default `deliver`: no byte lost and no TIME_WAIT (Linux; `fin` elsewhere).
 *
 * Errors of one connection go to the callback, once. To an `httpSocket` only TLS is added, and the
 * close mode where it has none.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE,
 *   ERR_SOCKET_TUNER_ADDRESS_FAMILY, ERR_SOCKET_TUNER_UNSUPPORTED, and what tls.createSecureContext()
 *   throws
 */
export function tunedConnector(options: TunedConnectorOptions = {}): TunedConnector {
  const prepared = prepare(options)
  const sessions = new SessionCache(prepared.maxCachedSessions)
  return (parameters, callback) => {
    const isTls = parameters.protocol === 'https:'
    const asked =
      parameters.port === '' ? { ...parameters, port: isTls ? '443' : '80' } : parameters
    let socket: Socket
    try {
      socket = isTls ? openTls(asked, prepared, sessions) : open(asked, prepared)
    } catch (error) {
      process.nextTick(callback, error, null)
      return undefined
    }
    const cancel = limitConnect(socket, prepared.timeoutMs, `${asked.hostname}:${asked.port}`)
    tellOnce(socket, isTls ? 'secureConnect' : 'connect', cancel, callback)
    return socket
  }
}

function open(parameters: ConnectParameters, prepared: Prepared): Socket {
  if (parameters.httpSocket !== undefined)
    throw new ArgumentValueError('httpSocket', 'goes with https: only', parameters.protocol)
  const options = { highWaterMark: HIGH_WATER_MARK, ...destination(parameters, prepared) }
  const socket = prepared.connector.connect(options)
  // By this undici tells that it is to speak HTTP/2.
  return prepared.useH2c ? Object.assign(socket, { alpnProtocol: 'h2' }) : socket
}

function openTls(
  parameters: ConnectParameters,
  prepared: Prepared,
  sessions: SessionCache,
): tls.TLSSocket {
  const { connector, shared, secureContext } = prepared
  const to = destination(parameters, prepared)
  const names = [parameters.servername, shared.servername, serverNameOf(parameters.host)]
  const servername = names.find(isGiven)
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

type Destination = SharedOptions & { host: string; port: number; path: string | undefined }

/** For net.connect(): what is asked for goes before what the connector was made with. */
function destination(
  { hostname, port, localAddress, ...asked }: ConnectParameters,
  { shared, ...prepared }: Prepared,
): Destination {
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

/** The host of `host:port`. An IP address is no server name (RFC 6066 section 3). */
function serverNameOf(host = ''): string | undefined {
  const end = host.indexOf(':')
  const name = host.startsWith('[') ? '' : host.slice(0, end < 0 ? undefined : end)
  return name === '' || isIP(name) !== 0 ? undefined : name
}

function protocols(parameters: ConnectParameters, { allowH2, preferH2 }: Prepared): string[] {
  if (!(allowH2 ?? parameters.allowH2 ?? false)) return ['http/1.1']
  return preferH2 ? ['h2', 'http/1.1'] : ['http/1.1', 'h2']
}

/** TLS over a connection that somebody else has made; a stream that is no socket is left as it is. */
function over(
  carrier: Socket,
  options: Destination,
  { shared, connector }: Prepared,
): tls.TLSSocket {
  const isSocket = isStreamSocket(carrier)
  // Not by the TLS socket: in some releases of Node it does not pass them down.
  if (isSocket && shared.noDelay === true) carrier.setNoDelay(true)
  if (isSocket && shared.keepAlive === true)
    carrier.setKeepAlive(true, shared.keepAliveInitialDelay)
  return connector.wrapTls(carrier, options)
}

function tellOnce(
  socket: Socket,
  ready: 'connect' | 'secureConnect',
  cancel: () => void,
  callback: ConnectCallback,
): void {
  let told = false
  const tell: ConnectCallback = (...result) => {
    if (told) return
    told = true
    cancel()
    callback(...result)
  }
  socket.once(ready, () => {
    tell(null, socket)
  })
  // It stays, so that no error is without a listener before undici has its own and after it took it off.
  socket.on('error', (error) => {
    tell(error, null)
  })
  socket.once('close', () => {
    tell(destroyedEarly(), null)
  })
}

function destroyedEarly(): SocketTunerError {
  return new SocketTunerError('The socket was destroyed while it was connecting', {
    code: 'ERR_SOCKET_TUNER_DESTROYED',
    syscall: 'connect',
  })
}
