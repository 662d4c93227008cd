/** What tunedConnector() may be told, checked once. */
import type * as net from 'node:net'
import * as tls from 'node:tls'
import { checkFamily, checkPort, familyOf, wrongFamily } from '../../connect/address'
import { prepareTuning, type Tuning, type TuningOptions } from '../../connect/tuning'
import { checkUnix } from '../../connect/unix'
import {
  ArgumentTypeError,
  ArgumentValueError,
  checkBoolean,
  checkOptions,
  checkWhole,
} from '../../errors'
import type { Settings } from '../../options/option'

type TlsOptions = Omit<
  tls.ConnectionOptions,
  'host' | 'port' | 'path' | 'socket' | 'timeout' | 'lookup'
>

type TcpOptions = Pick<
  net.TcpNetConnectOpts,
  | 'lookup'
  | 'hints'
  | 'family'
  | 'localAddress'
  | 'localPort'
  | 'autoSelectFamilyAttemptTimeout'
  | 'signal'
>

/**
 * The options that undici's own connector takes, and what goes beyond them. Null stands for the
 * default, as it does there.
 */
export interface TunedConnectorOptions extends TuningOptions, TlsOptions, TcpOptions {
  /**
   * Offers HTTP/2 on TLS. Default: what undici 7 and 8 say of the client's own `allowH2`, else false
   * (undici 8's own connector: true).
   */
  allowH2?: boolean | null | undefined
  /** HTTP/2 before HTTP/1.1 where both are offered. Default false. */
  preferH2?: boolean | null | undefined
  /** HTTP/2 without TLS, by prior knowledge (undici 7 and 8). Default false. */
  useH2c?: boolean | null | undefined
  /** TLS sessions kept to be resumed, one per server name and port. Default 100; 0 keeps none. */
  maxCachedSessions?: number | null | undefined
  /** A unix-domain socket to connect to: `settings` that act there go with it, `source` and `portRange` do not. */
  socketPath?: string | null | undefined
  /** How long a connection may take to be ready, TLS included, ms. Default 10 000; 0 is for ever. */
  timeout?: number | null | undefined
  /** SO_KEEPALIVE. Default true. `settings` have the last word. */
  keepAlive?: boolean | null | undefined
  /** Silence before the first keep-alive probe, ms. Default 60 000. */
  keepAliveInitialDelay?: number | null | undefined
}

/** The same, ready for any number of connections. */
export interface Prepared {
  readonly tuning: Tuning
  /** For net.connect() and tls.connect(). */
  readonly shared: SharedOptions
  readonly secureContext: tls.SecureContext
  readonly timeoutMs: number
  readonly maxCachedSessions: number
  readonly socketPath: string | undefined
  readonly allowH2: boolean | undefined
  readonly preferH2: boolean
  readonly useH2c: boolean
}

export type SharedOptions = TlsOptions &
  TcpOptions &
  Pick<net.TcpNetConnectOpts, 'timeout' | 'noDelay' | 'keepAlive' | 'keepAliveInitialDelay'>

const CONNECT_TIMEOUT_MS = 10_000
const KEEP_ALIVE_DELAY_MS = 60_000
const MAX_CACHED_SESSIONS = 100
const MAX_MS = 2 ** 31 - 1

const keepAliveOptions = ['SO_KEEPALIVE', 'TCP_KEEPIDLE', 'TCP_KEEPINTVL', 'TCP_KEEPCNT'] as const

/**
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE,
 *   ERR_SOCKET_TUNER_ADDRESS_FAMILY, ERR_SOCKET_TUNER_UNSUPPORTED, and what tls.createSecureContext()
 *   throws for certificates, keys and ciphers
 */
export function prepare(options: TunedConnectorOptions): Prepared {
  checkOptions('options', options)
  checkKinds(options)
  const { settings = {}, closeMode = 'deliver' } = options
  checkOptions('settings', settings)
  const keepAlive = options.keepAlive ?? true
  const delayMs = options.keepAliveInitialDelay ?? KEEP_ALIVE_DELAY_MS
  const own = keepAliveOptions.some((name) => settings[name] !== undefined)
  // Node's setKeepAlive() would set all four anew once connected.
  const all = own && keepAlive ? withKeepAlive(settings, delayMs) : settings
  const tuning = prepareTuning({ ...options, settings: all, closeMode })
  checkSource(options, tuning)
  const socketPath = options.socketPath ?? undefined
  if (socketPath !== undefined) checkUnix('options.socketPath', socketPath, tuning)
  return {
    tuning,
    shared: {
      ...options,
      // It is the connector's here, and a limit on idleness to Node.
      timeout: undefined,
      noDelay: settings.TCP_NODELAY === undefined,
      keepAlive: keepAlive && !own,
      keepAliveInitialDelay: delayMs,
    },
    secureContext: options.secureContext ?? tls.createSecureContext(options),
    timeoutMs: options.timeout ?? CONNECT_TIMEOUT_MS,
    maxCachedSessions: options.maxCachedSessions ?? MAX_CACHED_SESSIONS,
    socketPath,
    allowH2: options.allowH2 ?? undefined,
    preferH2: options.preferH2 ?? false,
    useH2c: options.useH2c ?? false,
  }
}

function withKeepAlive(settings: Settings, delayMs: number): Settings {
  const seconds = Math.max(1, Math.floor(delayMs / 1000))
  return { SO_KEEPALIVE: true, TCP_KEEPIDLE: seconds, ...settings }
}

function checkKinds(options: TunedConnectorOptions): void {
  for (const name of ['allowH2', 'preferH2', 'useH2c', 'keepAlive', 'rejectUnauthorized'] as const)
    check(options, name, checkBoolean)
  for (const name of ['timeout', 'keepAliveInitialDelay'] as const)
    check(options, name, (argument, value) => {
      checkWhole(argument, value, 0, MAX_MS)
    })
  check(options, 'autoSelectFamilyAttemptTimeout', (argument, value) => {
    checkWhole(argument, value, 1, MAX_MS)
  })
  check(options, 'maxCachedSessions', (argument, value) => {
    checkWhole(argument, value, 0, Number.MAX_SAFE_INTEGER)
  })
  for (const name of ['socketPath', 'servername'] as const) check(options, name, checkString)
  for (const name of ['lookup', 'checkServerIdentity'] as const) check(options, name, checkFunction)
  check(options, 'ALPNProtocols', checkProtocols)
}

/** Null and undefined are the default. */
function check(
  options: TunedConnectorOptions,
  name: keyof TunedConnectorOptions,
  checkValue: (argument: string, value: unknown) => void,
): void {
  const value = options[name]
  if (value !== undefined && value !== null) checkValue(`options.${name}`, value)
}

function checkString(argument: string, value: unknown): void {
  if (typeof value !== 'string') throw new ArgumentTypeError(argument, 'of type string', value)
}

function checkFunction(argument: string, value: unknown): void {
  if (typeof value !== 'function') throw new ArgumentTypeError(argument, 'of type function', value)
}

function checkProtocols(argument: string, value: unknown): void {
  const isList = Array.isArray(value) && value.every((name) => typeof name === 'string')
  if (!isList && !ArrayBuffer.isView(value))
    throw new ArgumentTypeError(argument, 'an array of strings, or bytes in the wire format', value)
}

/** As for every connection, which could refuse it only when it is made. */
function checkSource(options: TunedConnectorOptions, tuning: Tuning): void {
  const { localAddress } = options
  const asked = checkFamily('options.family', options.family)
  checkPort('options.localPort', options.localPort)
  if (localAddress !== undefined && tuning.family !== 0) {
    throw new ArgumentValueError(
      'options.localAddress',
      'cannot be given together with source',
      localAddress,
    )
  }
  if (tuning.pool !== undefined && (options.localPort ?? 0) > 0) {
    throw new ArgumentValueError(
      'options.localPort',
      'cannot be given together with a SourcePool',
      options.localPort,
    )
  }
  const source = localAddress ?? tuning.localAddress ?? tuning.pool?.addresses[0]
  if (source === undefined) return
  const family = familyOf('options.localAddress', source)
  if (asked !== 0 && asked !== family) throw wrongFamily('source', source, asked)
}
