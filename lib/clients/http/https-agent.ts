import type * as http from 'node:http'
import * as https from 'node:https'
import type * as net from 'node:net'
import type { Duplex } from 'node:stream'
import type { ConnectionOptions } from 'node:tls'
import { httpsAgentArguments } from '../../connect/arguments'
import { connectBelow } from '../../connect/connect-tls'
import { agentMethodsOf, type ConnectionCallback } from '../../node/http-client'
import { prepareAgent, type AgentTuning, type TunedHttpsAgentOptions } from './options'
import { Pool, type AgentCounters } from './pool'

const agent = agentMethodsOf(https.Agent)

/** What https.Agent is called with for a connection. */
type TlsArgs = https.RequestOptions & Pick<ConnectionOptions, 'socket'>

/**
 * https.Agent, its session cache included, with what {@link TunedAgent} adds to http.Agent.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE,
 *   ERR_SOCKET_TUNER_UNKNOWN_OPTION, ERR_SOCKET_TUNER_UNSUPPORTED
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

  /** What happened so far: a snapshot. */
  counters(): AgentCounters {
    return { ...this.#pool.counters }
  }

  /**
   * Connects as https.Agent does, with the agent's tuning. Takes what that takes: options, after a port
   * and a host or not. The callback is called for a tunnel through a proxy only (`proxyEnv`).
   *
   * @throws what `connect()` and tls.connect() throw; for a request of the agent it is the request's 'error'
   */
  override createConnection(
    options: https.RequestOptions,
    callback?: ConnectionCallback,
  ): Duplex | null | undefined
  override createConnection(...args: unknown[]): Duplex | null | undefined {
    if (this.#prepared.proxied) return agent.createConnection.apply(this, args)
    const options: TlsArgs = httpsAgentArguments(args)
    if (options.socket !== undefined) return agent.createConnection.call(this, options)
    return this.#connect(options)
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
    this.#pool.open(this.getName(options), callback, (created) => {
      agent.createSocket.call(this, request, options, created)
    })
  }

  override destroy(): void {
    this.#pool.abandon()
    super.destroy()
  }

  /** Has Node's agent lay TLS over a connection that is made here, so that its sessions are its own. */
  #connect(options: TlsArgs): net.Socket {
    const socket = connectBelow(
      options,
      this.#prepared.tuning,
      (layered) => agent.createConnection.call(this, layered) as net.Socket,
    )
    if (options.timeout) socket.setTimeout(options.timeout)
    return socket
  }
}
