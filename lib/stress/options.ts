/** The options of a run. */
import { METHODS, validateHeaderName, validateHeaderValue } from 'node:http'
import { isIP } from 'node:net'
import { close as closeOption, written } from '../close/close-options'
import type { PolicyOptions } from '../close/mode'
import type { Close } from '../close/close-options'
import { closeModeName, closeModeNames } from '../close/modes'
import { wrongFamily, type IpFamily } from '../connect/address'
import { SourcePool } from '../connect/source-pool'
import { prepareTuning, tuningOptions, type CheckedTuning } from '../connect/tuning'
import { ArgumentRangeError, ArgumentTypeError, ArgumentValueError, isObject } from '../errors'
import {
  abortSignal,
  boolean,
  custom,
  oneOf,
  spec,
  text,
  whole,
  type Bytes,
  type InputOf,
  type OutputOf,
} from '../spec'
import { alpnProtocols } from './alpn'
import { stressTarget } from './target'

/** How the connections are closed: a close mode, or by the server. */
export type StressClose = Close | 'server'

export const MAX_CONNECTIONS = 100_000
export const MAX_WORKERS = 64
export const MAX_RATE = 1_000_000
const DAY_MS = 86_400_000
const MOST_REQUESTS = Number.MAX_SAFE_INTEGER
const MOST_EXPECTED = 2 ** 31 - 1

const rate = custom<number>(`above 0, at most ${String(MAX_RATE)}`, (argument, value) => {
  if (typeof value !== 'number') throw new ArgumentTypeError(argument, 'of type number', value)
  if (!(value > 0 && value <= MAX_RATE))
    throw new ArgumentRangeError(argument, `> 0 && <= ${String(MAX_RATE)}`, value)
  return value
})

const closeOrServer = oneOf(...closeModeNames, 'server').required()

const stressClose = custom<StressClose, PolicyOptions | 'server'>(
  `${closeModeName.takes} or 'server', or an object with a mode`,
  (argument, value) => {
    if (value === 'server') return value
    if (typeof value === 'string') closeOrServer.check(argument, value)
    return closeOption.required().check(argument, value)
  },
)

const requestCount = whole(1, MOST_REQUESTS)

const requestsPerConnection = custom<number | 'keep-alive'>(
  `${requestCount.takes}, or 'keep-alive'`,
  (argument, value) =>
    value === 'keep-alive' ? value : requestCount.required().check(argument, value),
)

const method = custom<string>('an HTTP method', (argument, value) => {
  if (typeof value !== 'string') throw new ArgumentTypeError(argument, 'of type string', value)
  if (!METHODS.includes(value) || value === 'CONNECT')
    throw new ArgumentValueError(argument, 'must be an HTTP method other than CONNECT', value)
  return value
})

/** Their values would contradict the framing of the request or the option `close`. */
const ownHeaders = ['connection', 'content-length', 'transfer-encoding', 'upgrade', 'expect']

const headers = custom<Readonly<Record<string, string>>>(
  'an object of strings',
  (argument, value) => {
    if (!isObject(value)) throw new ArgumentTypeError(argument, 'of type object', value)
    for (const [name, content] of Object.entries(value)) {
      if (typeof content !== 'string')
        throw new ArgumentTypeError(`${argument}.${name}`, 'of type string', content)
      if (ownHeaders.includes(name.toLowerCase()))
        throw new ArgumentValueError(
          `${argument}.${name}`,
          'cannot be given: the run sets it by its other options',
          content,
        )
      validateHeaderName(name)
      validateHeaderValue(name, content)
    }
    return value as Readonly<Record<string, string>>
  },
)

const bytes = custom<string | Bytes>('a string or a Uint8Array', (argument, value) => {
  if (typeof value === 'string' || value instanceof Uint8Array) return value
  throw new ArgumentTypeError(argument, 'of type string or an instance of Uint8Array', value)
})

const authorities = custom<string | Bytes>('certificates, PEM', (argument, value) => {
  const checked = bytes.required().check(argument, value)
  const text = typeof checked === 'string' ? checked : Buffer.from(checked).toString('latin1')
  // Node ignores what has none, and then trusts nothing.
  if (/-----BEGIN (X509 |TRUSTED )?CERTIFICATE-----/.test(text)) return checked
  throw new ArgumentValueError(argument, 'must have a certificate, PEM', value, 'none')
})

const expected = custom<number | string | Bytes>(
  `bytes, or their number: 0 to ${String(MOST_EXPECTED)}`,
  (argument, value) =>
    typeof value === 'number'
      ? whole(0, MOST_EXPECTED).required().check(argument, value)
      : bytes.required().check(argument, value),
)

export const stressOptions = spec({
  /** The server to connect to. A host name is looked up once, before the run. */
  target: stressTarget.required(),
  /** The most connections at a time. A closed loop keeps all of them busy. Default 50. */
  connections: whole(1, MAX_CONNECTIONS).default(50),
  /**
   * Requests per second: an open loop, whose requests start at times that do not depend on the target. Default: a
   * closed loop, in which each connection sends its next request when it has the answer.
   */
  ratePerSecond: rate,
  /** The times between the starts of the open loop: all equal, or random as those of many independent clients. */
  arrivals: oneOf('constant', 'poisson').default('constant'),
  /**
   * The most connections that are opened per second. Requests wait for their connection, and the wait is part of their
   * latency. Default: no limit.
   */
  connectionsPerSecond: rate,
  /** Length of the measured run, ms. Default 10,000, or no limit if `amount` is given. */
  durationMs: whole(1, DAY_MS),
  /** Ends the measured run after this many requests. Default: no limit. */
  amount: requestCount,
  /** A time before the measured run in which requests are sent and not counted, ms. Default 0. */
  warmupMs: whole(0, DAY_MS).default(0),
  /** The longest time for a connection, for an answer, and for the target to close (`'server'`), ms. Default 10,000. */
  timeoutMs: whole(1, DAY_MS).default(10_000),
  /** Requests after which a connection is closed, or `'keep-alive'` for no limit. Default 1. */
  requestsPerConnection: requestsPerConnection.default(1),
  /** How connections are closed. `'server'`: the last request has `Connection: close`. Default `'deliver'`. */
  close: stressClose.default(closeOption.required().check('close', 'deliver')),
  settings: tuningOptions.fields.settings,
  source: tuningOptions.fields.source,
  portRange: tuningOptions.fields.portRange,
  portWaitMs: tuningOptions.fields.portWaitMs,
  /** The HTTP method. Default GET. */
  method: method.default('GET'),
  /** HTTP headers besides those of the framing. Host is that of the URL unless it is given. */
  headers: headers.default({}),
  /** The body of each HTTP request. Default: none. */
  body: bytes,
  /** The bytes that each raw TCP connection sends. Default: nothing; the connection is closed once it is open. */
  send: bytes,
  /** The answer to `send`, or its length in bytes. Default: any bytes. */
  expect: expected,
  /** The certificate authorities to trust instead of Node's, PEM. */
  ca: authorities,
  /** The name that is sent to a TLS server, and that its certificate must have. Default: the host. */
  servername: text(),
  /**
   * The protocols that a TLS server is offered by ALPN, the preferred one first; none if empty. Default: `http/1.1` for
   * https targets, and none for tls targets. An https target that chooses another version of HTTP cannot be measured.
   */
  alpnProtocols,
  /** Whether a TLS server needs a certificate of a trusted authority. Default true. */
  rejectUnauthorized: boolean().default(true),
  /**
   * The processes that share the load. Each has an equal part of the connections, the requests, the rates and the
   * ephemeral ports; the result is that of the run. Default 1: this process.
   */
  workers: whole(1, MAX_WORKERS).default(1),
  /** The time between two snapshots, ms. Default 1,000. */
  snapshotMs: whole(10, DAY_MS).default(1_000),
  /** Ends the run. The result then has what was measured until that moment. */
  signal: abortSignal,
})

/** The options of a run. */
export type StressOptions = InputOf<typeof stressOptions>

export type CheckedStress = OutputOf<typeof stressOptions>

/**
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_SOCKET_TUNER_UNKNOWN_OPTION,
 *   ERR_SOCKET_TUNER_ADDRESS_FAMILY, also for options that exclude each other
 */
export function checkStress(options: unknown): CheckedStress {
  const checked = stressOptions.check('options', options)
  const { target, ratePerSecond, requestsPerConnection: most } = checked
  const given = options as StressOptions
  const isRaw = target.protocol === 'tcp' || target.protocol === 'tls'
  const isTls = target.protocol === 'https' || target.protocol === 'tls'
  const refuse = (names: readonly (keyof StressOptions)[], reason: string): void => {
    const name = names.find((each) => given[each] !== undefined)
    if (name === undefined) return
    const value = given[name]
    const shown = value instanceof Uint8Array ? `${String(value.length)} bytes` : undefined
    throw new ArgumentValueError(`options.${name}`, reason, value, shown)
  }
  if (isRaw) refuse(['method', 'headers', 'body'], 'is for http and https targets')
  else refuse(['send', 'expect'], 'is for tcp and tls targets')
  if (!isTls)
    refuse(
      ['ca', 'servername', 'rejectUnauthorized', 'alpnProtocols'],
      'is for https and tls targets',
    )
  if (ratePerSecond === undefined) refuse(['arrivals'], 'needs ratePerSecond')
  requireFamily(checked)
  for (const name of ['connections', 'amount'] as const) {
    const { [name]: limit = Infinity } = checked
    if (checked.workers > limit)
      refuse(['workers'], `cannot be more than ${name} (${String(limit)})`)
  }
  if (isRaw && checked.send === undefined) {
    refuse(['expect'], 'needs send')
    if (most !== 1)
      refuse(['requestsPerConnection'], 'needs send: a connection without it has no requests')
  }
  if (checked.close === 'server' && isRaw && checked.send === undefined)
    refuse(['close'], 'needs send: the target is not asked to close')
  if (checked.close === 'server' && most === 'keep-alive')
    refuse(['close'], "cannot be 'server' with requestsPerConnection: 'keep-alive'")
  // The names and values of the settings.
  prepareTuning(tuningIn(checked))
  return checked
}

/** @throws ERR_SOCKET_TUNER_ADDRESS_FAMILY for a source of another family than the address of the target */
function requireFamily({ source, target: { host } }: CheckedStress): void {
  const address = source instanceof SourcePool ? source.addresses[0] : source
  const family = isIP(host)
  if (family === 0 || address === undefined || isIP(address) === family) return
  throw wrongFamily('options.source', address, family as IpFamily)
}

/** The options as a caller would write them, without the signal: for another process, which checks them again. */
export function writtenStress({ target, close, source, ...others }: CheckedStress): StressOptions {
  return {
    ...others,
    target: target.url,
    close: close === 'server' ? close : written(close),
    source: source instanceof SourcePool ? source.addresses : source,
    signal: undefined,
  }
}

/** The part of the options that the Connector takes. */
export function tuningIn({
  settings,
  source,
  portRange,
  portWaitMs,
  close,
}: CheckedStress): CheckedTuning {
  return {
    settings,
    source,
    portRange,
    portWaitMs,
    mptcp: false,
    close: close === 'server' ? closeOption.required().check('close', 'fin') : close,
  }
}
