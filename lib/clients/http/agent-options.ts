/** The options of the agents. */
import type * as http from 'node:http'
import type * as https from 'node:https'
import { ArgumentValueError } from '../../errors'
import { familyOf } from '../../connect/address'
import { checkUnix } from '../../connect/connect-unix'
import { closeModes } from '../../close/modes'
import { plainClose } from '../../close/close-options'
import { connectorOf, tuningOf, type Connector } from '../../connect/connector'
import { tuningOptions, type Tuning } from '../../connect/tuning'
import { agentNames } from '../../node/option-names'
import { MAX_INT32, boolean, sharedSpec, whole, type InputOf } from '../../spec'
import { MARGIN_MS, newCounters, type ReuseCounters } from '../sockets/reuse'

/** Node's own default of `maxFreeSockets`. */
const MAX_FREE_SOCKETS = 256

/** The options of each connection. */
export const connectionFields = {
  ...tuningOptions.fields,
  /** Default `'deliver'`. */
  close: tuningOptions.fields.close.default(plainClose(closeModes.deliver)),
  /**
   * Repeats an idempotent request (RFC 9110 section 9.2.2) once, on a new connection, if it fails on an idle
   * connection before any byte of the answer. Default true.
   */
  retry: boolean().default(true),
}

export const agentOptions = sharedSpec(
  {
    ...connectionFields,
    /**
     * The number of idle connections to keep ready for each origin: one that was passed to `warm()`, until `destroy()`,
     * or one that has had a request in the last 60 s. Default 0.
     */
    minIdle: whole(0, MAX_INT32).default(0),
  },
  agentNames,
)

type AgentTuningOptions = InputOf<typeof agentOptions>

/** By default `keepAlive` is true and `close` is `'deliver'`. */
export type TunedAgentOptions = http.AgentOptions & AgentTuningOptions

/** The options of TunedHttpsAgent. By default `keepAlive` is true and `close` is `'deliver'`. */
export type TunedHttpsAgentOptions = https.AgentOptions & AgentTuningOptions

/** The checked options. */
export interface AgentTuning {
  /** The options for Node's own agent. */
  readonly own: https.AgentOptions
  readonly connector: Connector
  readonly counters: ReuseCounters
  /** Node opens the connections, some of them to a proxy. */
  readonly proxied: boolean
  readonly retry: boolean
  readonly minIdle: number
  /** How long before the announced time an idle connection is closed, ms. */
  readonly marginMs: number
}

/** Options of Node's agents in some releases only. */
interface LaterOptions {
  /** Node 24.7+, 22.20+. */
  agentKeepAliveTimeoutBuffer?: unknown
  /** Node 24.5+, 22.21+. */
  proxyEnv?: unknown
  /** Added to each request. */
  socketPath?: unknown
}

/** Parts that another adapter of this library shares with its agents. */
interface Given {
  /** Opens the connections of several agents. */
  readonly connector: Connector
  /** The live counters, read without a snapshot. */
  readonly counters: ReuseCounters
}

const given = new WeakMap<object, Given>()

/** Returns options for an agent that uses an existing connector and existing counters. */
export function optionsWith<Options extends https.AgentOptions & { readonly retry?: boolean }>(
  options: Options,
  { connector, counters }: Given,
): Options {
  given.set(options, { connector, counters })
  return options
}

/**
 * @throws what `connect()` throws for its options;
 *   ERR_INVALID_ARG_VALUE for options that exclude each other
 */
export function prepareAgent(options: TunedHttpsAgentOptions & LaterOptions): AgentTuning {
  const checked = agentOptions.check('options', options)
  const { connector, counters } = given.get(options) ?? {
    connector: connectorOf(checked),
    counters: newCounters(),
  }
  const tuning = tuningOf(connector)
  const own: https.AgentOptions & LaterOptions = agentOptions.rest(options)
  checkTogether(options, tuning)
  if (checked.minIdle > 0) checkMinIdle(checked.minIdle, own)
  // Otherwise Node would override the setting after connect().
  const noDelay = hasSetting(tuning, 'TCP_NODELAY') ? false : own.noDelay
  return {
    own: { ...own, noDelay, keepAlive: own.keepAlive ?? true },
    connector,
    counters,
    proxied: own.proxyEnv !== undefined,
    retry: checked.retry,
    minIdle: checked.minIdle,
    marginMs: marginOf(own.agentKeepAliveTimeoutBuffer),
  }
}

function hasSetting({ settings }: Tuning, name: string): boolean {
  return settings.operations.some(({ option }) => option.name === name)
}

function checkTogether(options: http.AgentOptions & LaterOptions, tuning: Tuning): void {
  const { localAddress, proxyEnv, socketPath } = options
  if (socketPath) checkUnix('options.socketPath', socketPath, tuning)
  if (localAddress) {
    familyOf('options.localAddress', localAddress)
    if (tuning.family !== 0) {
      const reason = 'cannot be given together with source'
      throw new ArgumentValueError('options.localAddress', reason, localAddress)
    }
  }
  if (proxyEnv !== undefined && !tuning.onlyClose) {
    // Node opens the connection to the proxy.
    const reason = 'cannot be given together with settings, source, portRange or portWaitMs'
    throw new ArgumentValueError('options.proxyEnv', reason, proxyEnv)
  }
}

/** @throws ERR_INVALID_ARG_VALUE if Node's options do not allow `minIdle` idle connections */
function checkMinIdle(minIdle: number, own: http.AgentOptions & LaterOptions): void {
  const limits = {
    maxSockets: own.maxSockets ?? Infinity,
    maxFreeSockets: own.maxFreeSockets ?? MAX_FREE_SOCKETS,
    maxTotalSockets: own.maxTotalSockets ?? Infinity,
  }
  const refuse = (reason: string): never => {
    throw new ArgumentValueError('options.minIdle', reason, minIdle)
  }
  if (own.keepAlive === false) refuse('needs keepAlive, which is false')
  if (own.proxyEnv !== undefined) refuse('cannot be given together with proxyEnv')
  for (const [name, limit] of Object.entries(limits))
    if (minIdle > limit) refuse(`must not be above ${name}, which is ${String(limit)}`)
}

function marginOf(margin: unknown): number {
  return typeof margin === 'number' && margin >= 0 && Number.isFinite(margin) ? margin : MARGIN_MS
}
