import type * as http from 'node:http'
import * as https from 'node:https'
import type { NetConnectOpts } from 'node:net'
import type { Duplex } from 'node:stream'
import type { ConnectionOptions } from 'node:tls'
import { attachPolicy, policyOf } from '../../close/policy'
import { connectTuned } from '../../connect/connect'
import { isStreamSocket } from '../../target'
import { refuse } from './agent'
import { agentPartsOf, type ConnectionCallback } from './node'
import { prepareAgent, type AgentTuning, type TunedHttpsAgentOptions } from './options'
import { Pool, type AgentCounters } from './pool'

const agent = agentPartsOf(https.Agent.prototype)

/** What https.Agent is called with for a connection. */
type TlsArgs = https.RequestOptions & Pick<ConnectionOptions, 'socket'>

/**
 * https.Agent, its session cache included, with what {@link TunedAgent} adds to http.Agent.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_SOCKET_TUNER_UNSUPPORTED
 */
export class TunedHttpsAgent extends https.Agent {
  readonly #prepared: AgentTuning
  readonly #pool: Pool

  constructor(options: TunedHttpsAgentOptions = {}) {
    const prepared = prepareAgent(options)
    super(prepared.own)
    this.#prepared = prepared
    this.#pool = new Pool(this, prepared)
  }

  get counters(): AgentCounters {
    return this.#pool.counters
  }

  override createConnection(
    options: TlsArgs,
    callback?: ConnectionCallback,
  ): Duplex | null | undefined {
    if (this.#prepared.proxied || options.socket !== undefined)
      return super.createConnection(options, callback)
    try {
      return this.#connect(options)
    } catch (error) {
      refuse(error as Error, callback)
      return undefined
    }
  }

  /** Asked for twice when a connection is free, of which it stays the same. */
  override getName(options?: https.RequestOptions): string {
    const connection = this.#pool.freeing
    if (connection !== undefined && connection.options === options)
      return (connection.agentName ??= super.getName(options))
    return super.getName(options)
  }

  /** Called when an idle connection has been chosen for a request, which is not given a dead one. */
  override reuseSocket(socket: Duplex, request: http.ClientRequest): void {
    if (this.#pool.reuse(socket, request)) super.reuseSocket(socket, request)
  }

  /** Called for each new connection, whoever makes it. */
  createSocket(
    request: http.ClientRequest,
    options: https.RequestOptions,
    callback: ConnectionCallback,
  ): void {
    const created = this.#pool.tellOf(this.getName(options), callback)
    agent.createSocket.call(this, request, options, created)
  }

  override destroy(): void {
    this.#pool.abandon()
    super.destroy()
  }

  /** Has Node's agent lay TLS over a connection that is made here, so that its sessions are its own. */
  #connect(options: TlsArgs): Duplex | null | undefined {
    const { tuning } = this.#prepared
    // The timeout is the TLS socket's.
    const carrier = connectTuned({ ...options, timeout: undefined } as NetConnectOpts, tuning)
    const layered = { ...options, socket: carrier }
    const socket = super.createConnection(layered)
    if (!isStreamSocket(socket)) return socket
    const policy = policyOf(carrier)
    if (policy !== undefined) attachPolicy({ ...policy, socket })
    if (options.timeout) socket.setTimeout(options.timeout)
    return socket
  }
}
