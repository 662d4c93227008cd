/** The options of the agents: those of Node's, those of every tuned connection, and `retry`. */
import type * as http from 'node:http'
import type * as https from 'node:https'
import { ArgumentValueError } from '../../errors'
import { familyOf } from '../../connect/address'
import { checkUnix } from '../../connect/unix'
import { closeModes } from '../../close/modes'
import { plainClose } from '../../close/options'
import { connectorOf, tuningOf, type Connector } from '../../connect/connector'
import { tuningOptions, type Tuning } from '../../connect/tuning'
import { agentNames } from '../../node/option-names'
import { boolean, sharedSpec, type InputOf } from '../../spec'

export const agentOptions = sharedSpec(
  {
    ...tuningOptions.fields,
    /** Default `'deliver'`. */
    close: tuningOptions.fields.close.default(plainClose(closeModes.deliver)),
    /**
     * An idempotent request (RFC 9110 section 9.2.2) that fails on a reused connection before any byte
     * of an answer is sent once more, on a fresh connection. Default true.
     */
    retry: boolean().default(true),
  },
  agentNames,
)

type AgentTuningOptions = InputOf<typeof agentOptions>

/** `keepAlive` is true and `close` is `'deliver'` unless they are given. */
export type TunedAgentOptions = http.AgentOptions & AgentTuningOptions

/** The same for https. */
export type TunedHttpsAgentOptions = https.AgentOptions & AgentTuningOptions

/** The options, checked. */
export interface AgentTuning {
  /** What is Node's own. */
  readonly own: https.AgentOptions
  readonly connector: Connector
  readonly tuning: Tuning
  /** Node makes the connections, some of them to a proxy. */
  readonly proxied: boolean
  readonly retry: boolean
  /** So long before the time that a server announces is a connection given up, ms. */
  readonly marginMs: number
}

const MARGIN_MS = 1000

/** What Node's agents have in some releases only. */
interface LaterOptions {
  /** Node 24.7+, 22.20+. */
  agentKeepAliveTimeoutBuffer?: unknown
  /** Node 24.5+, 22.21+. */
  proxyEnv?: unknown
  /** What the agents add to each request. */
  socketPath?: unknown
}

/**
 * @throws what `connect()` throws for its options;
 *   ERR_INVALID_ARG_VALUE for options that exclude each other
 */
export function prepareAgent(options: TunedHttpsAgentOptions & LaterOptions): AgentTuning {
  const checked = agentOptions.check('options', options)
  const connector = connectorOf(checked)
  const tuning = tuningOf(connector)
  const own: https.AgentOptions & LaterOptions = agentOptions.rest(options)
  checkTogether(options, tuning)
  // Node would set it after the settings.
  const noDelay = checked.settings.TCP_NODELAY === undefined ? own.noDelay : false
  return {
    own: { ...own, noDelay, keepAlive: own.keepAlive ?? true },
    connector,
    tuning,
    proxied: own.proxyEnv !== undefined,
    retry: checked.retry,
    marginMs: marginOf(own.agentKeepAliveTimeoutBuffer),
  }
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
    // The connection to the proxy is made by Node.
    const reason = 'cannot be given together with settings, source or portRange'
    throw new ArgumentValueError('options.proxyEnv', reason, proxyEnv)
  }
}

function marginOf(margin: unknown): number {
  return typeof margin === 'number' && margin >= 0 && Number.isFinite(margin) ? margin : MARGIN_MS
}
