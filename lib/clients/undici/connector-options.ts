/** The options of tunedConnector(), checked once. */
import type * as net from 'node:net'
import * as tls from 'node:tls'
import { anyPort, checkFamily, familyOf, wrongFamily, type IpFamily } from '../../connect/address'
import { closeModes } from '../../close/modes'
import { plainClose } from '../../close/close-options'
import { connectorOf, tuningOf, type Connector } from '../../connect/connector'
import { tuningOptions, type Tuning } from '../../connect/tuning'
import { checkUnix } from '../../connect/connect-unix'
import { ArgumentTypeError, ArgumentValueError } from '../../errors'
import { netConnectNames, tlsNames } from '../../node/option-names'
import type { Settings } from '../../options/option'
import {
  MAX_INT32,
  boolean,
  custom,
  fn,
  sharedSpec,
  text,
  whole,
  type Bytes,
  type InputOf,
  type OutputOf,
} from '../../spec'

type TlsOptions = Omit<
  tls.ConnectionOptions,
  'host' | 'port' | 'path' | 'socket' | 'timeout' | 'lookup' | keyof OwnOptions
>

type SharedTcpOptions = Pick<net.TcpNetConnectOpts, 'hints' | 'localAddress' | 'signal'>

const protocols = custom<string[] | Bytes>(
  'an array of strings, or bytes in the wire format',
  (argument, value) => {
    const isList = Array.isArray(value) && value.every((name) => typeof name === 'string')
    if (!isList && !ArrayBuffer.isView(value))
      throw new ArgumentTypeError(
        argument,
        'an array of strings, or bytes in the wire format',
        value,
      )
    return value as string[] | Bytes
  },
)

export const connectorOptions = sharedSpec(
  {
    ...tuningOptions.fields,
    /** Default `'deliver'`. */
    close: tuningOptions.fields.close.default(plainClose(closeModes.deliver)),
    /**
     * Repeats an idempotent request (RFC 9110 section 9.2.2) once, on a new connection, if it fails on an idle
     * connection before any byte of the answer. HTTP/1 only. Default true.
     */
    retry: boolean().default(true).orNull(),
    /**
     * The number of HTTP/1 connections to keep ready for each origin, beside those that undici has: an origin that was
     * passed to `connect.warm()`, until `connect.close()`, or one that has had a request in the last 60 s. Default 0.
     */
    minIdle: whole(0, MAX_INT32).default(0).orNull(),
    /**
     * Offers HTTP/2 on TLS. Default: the client's own `allowH2` in undici 7 and 8, else false. (The default of undici
     * 8's own connector is true.)
     */
    allowH2: boolean().orNull(),
    /** Prefers HTTP/2 to HTTP/1.1 if both are offered. Default false. */
    preferH2: boolean().default(false).orNull(),
    /** Uses HTTP/2 without TLS, with prior knowledge (undici 7 and 8). Default false. */
    useH2c: boolean().default(false).orNull(),
    /** The number of TLS sessions to keep, one per server name and port. Default 100; 0 keeps none. */
    maxCachedSessions: whole(0, Number.MAX_SAFE_INTEGER).default(100).orNull(),
    /**
     * A unix-domain socket to connect to. Cannot be combined with `source`, `portRange`, or `settings` that have no
     * effect there.
     */
    socketPath: text().orNull(),
    /** The time limit for a connection, including TLS, ms. Default 10,000; 0 is no limit. */
    timeout: whole(0, MAX_INT32).default(10_000).orNull(),
    /** SO_KEEPALIVE. Default true. `settings` take precedence. */
    keepAlive: boolean().default(true).orNull(),
    /** Silence before the first keep-alive probe, ms. Default 60,000. */
    keepAliveInitialDelay: whole(0, MAX_INT32).default(60_000).orNull(),
    /** As tls.connect(). */
    rejectUnauthorized: boolean().orNull(),
    /** As net.connect(), ms. */
    autoSelectFamilyAttemptTimeout: whole(1, MAX_INT32).orNull(),
    /** As tls.connect(). */
    servername: text().orNull(),
    /** As net.connect(). */
    lookup: fn<net.LookupFunction>().orNull(),
    /** As tls.connect(). */
    checkServerIdentity: fn<NonNullable<tls.ConnectionOptions['checkServerIdentity']>>().orNull(),
    /** As tls.connect(). */
    ALPNProtocols: protocols.orNull(),
    /** As net.connect(). */
    family: custom<4 | 6 | 0 | 'IPv4' | 'IPv6', IpFamily | 0>('4 or 6', checkFamily),
    /** As net.connect(). */
    localPort: anyPort,
  },
  [...netConnectNames, ...tlsNames],
)

type OwnOptions = InputOf<typeof connectorOptions>
type CheckedConnector = OutputOf<typeof connectorOptions>

/**
 * The options of undici's own connector, and additional ones. As there, null means the default.
 */
export interface TunedConnectorOptions extends OwnOptions, TlsOptions, SharedTcpOptions {}

/** The checked options, ready for any number of connections. */
export interface PreparedOptions {
  readonly connector: Connector
  /** Passed to net.connect() and tls.connect(). */
  readonly shared: SharedOptions
  readonly secureContext: tls.SecureContext
  readonly retry: boolean
  readonly minIdle: number
  readonly timeoutMs: number
  readonly maxCachedSessions: number
  readonly socketPath: string | undefined
  readonly allowH2: boolean | undefined
  readonly preferH2: boolean
  readonly useH2c: boolean
}

export type SharedOptions = Omit<
  tls.ConnectionOptions,
  'host' | 'port' | 'path' | 'socket' | 'timeout' | 'lookup'
> &
  Omit<net.TcpNetConnectOpts, 'host' | 'port'>

const keepAliveOptions = ['SO_KEEPALIVE', 'TCP_KEEPIDLE', 'TCP_KEEPINTVL', 'TCP_KEEPCNT'] as const

/**
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE,
 *   ERR_SOCKET_TUNER_UNKNOWN_OPTION, ERR_SOCKET_TUNER_ADDRESS_FAMILY, ERR_SOCKET_TUNER_UNSUPPORTED, and what tls.createSecureContext()
 *   throws for certificates, keys and ciphers
 */
export function prepare(options: TunedConnectorOptions): PreparedOptions {
  const checked = connectorOptions.check('options', options)
  const { settings, keepAlive, keepAliveInitialDelay, socketPath } = checked
  const own = keepAliveOptions.some((name) => settings[name] !== undefined)
  // Node's setKeepAlive() would set all four again after connect().
  const all = own && keepAlive ? withKeepAlive(settings, keepAliveInitialDelay) : settings
  const connector = connectorOf({ ...checked, settings: all })
  const tuning = tuningOf(connector)
  checkSource(options.localAddress, checked, tuning)
  if (socketPath !== undefined) checkUnix('options.socketPath', socketPath, tuning)
  return {
    connector,
    shared: {
      ...connectorOptions.rest(options),
      ...forNode(checked),
      noDelay: settings.TCP_NODELAY === undefined,
      keepAlive: keepAlive && !own,
      keepAliveInitialDelay,
    },
    secureContext: options.secureContext ?? tls.createSecureContext(withoutNull(options)),
    retry: checked.retry,
    minIdle: checked.minIdle,
    timeoutMs: checked.timeout,
    maxCachedSessions: checked.maxCachedSessions,
    socketPath,
    allowH2: checked.allowH2,
    preferH2: checked.preferH2,
    useH2c: checked.useH2c,
  }
}

/** Omits undefined options: Node treats them as given. */
function forNode(checked: CheckedConnector): Partial<SharedOptions> {
  const { rejectUnauthorized, autoSelectFamilyAttemptTimeout, servername, lookup } = checked
  const { checkServerIdentity, ALPNProtocols, family, localPort } = checked
  const tlsOptions = { rejectUnauthorized, servername, checkServerIdentity, ALPNProtocols }
  return withoutNull({
    ...tlsOptions,
    autoSelectFamilyAttemptTimeout,
    lookup,
    family,
    localPort,
  })
}

function withoutNull<T extends object>(options: T): { [K in keyof T]: Exclude<T[K], null> } {
  const given = Object.entries(options).filter(([, value]) => value !== undefined && value !== null)
  return Object.fromEntries(given) as { [K in keyof T]: Exclude<T[K], null> }
}

function withKeepAlive(settings: Settings, delayMs: number): Settings {
  const seconds = Math.max(1, Math.floor(delayMs / 1000))
  return { SO_KEEPALIVE: true, TCP_KEEPIDLE: seconds, ...settings }
}

/** Makes the checks of each connection in advance. */
function checkSource(
  localAddress: string | undefined,
  { family: asked = 0, localPort = 0 }: CheckedConnector,
  tuning: Tuning,
): void {
  if (localAddress !== undefined && tuning.family !== 0) {
    throw new ArgumentValueError(
      'options.localAddress',
      'cannot be given together with source',
      localAddress,
    )
  }
  if (tuning.pool !== undefined && localPort > 0) {
    throw new ArgumentValueError(
      'options.localPort',
      'cannot be given together with several source addresses',
      localPort,
    )
  }
  if (tuning.portWait !== undefined && localPort > 0) {
    throw new ArgumentValueError(
      'options.localPort',
      "cannot be given together with portWaitMs, which waits for a port of the kernel's choice",
      localPort,
    )
  }
  const source = localAddress ?? tuning.localAddress ?? tuning.pool?.addresses[0]
  if (source === undefined) return
  const family = familyOf('options.localAddress', source)
  if (asked !== 0 && asked !== family) throw wrongFamily('source', source, asked)
}
