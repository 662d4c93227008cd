import * as http from 'node:http'
import type { Duplex } from 'node:stream'
import { netArguments } from '../../connect/arguments'
import { agentMethodsOf, type ConnectionCallback } from '../../node/http-client'
import { prepareAgent, type AgentTuning, type TunedAgentOptions } from './options'
import { Pool, type AgentCounters } from './pool'

interface RequestOptions extends http.ClientRequestArgs {
  servername?: string | undefined
}

const agent = agentMethodsOf(http.Agent)

/**
 * http.Agent with all that it offers. Its connections are tuned before connect(2) and leave no
 * TIME_WAIT, and are kept for the next request unless `keepAlive` is false.
 *
 * An idle connection is looked at before it is used again and given up before its server closes it,
 * as the server's Keep-Alive header tells. An idempotent request that fails on one all the same is
 * sent once more, on a fresh connection; other requests are never sent twice.
 *
 * The constructor refuses bad options. What comes up when a connection is made is an 'error' of the
 * request.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE,
 *   ERR_SOCKET_TUNER_UNKNOWN_OPTION, ERR_SOCKET_TUNER_UNSUPPORTED
 */
export class TunedAgent extends http.Agent {
  readonly #prepared: AgentTuning
  readonly #pool: Pool

  constructor(options: TunedAgentOptions = {}) {
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
   * Connects as net.createConnection() does, with the agent's tuning, and takes what that takes: options,
   * a port and a host, or the path of a unix-domain socket, then a listener for 'connect'.
   *
   * @throws what `connect()` throws; for a request of the agent it is the request's 'error'
   */
  override createConnection(
    options: http.ClientRequestArgs,
    callback?: ConnectionCallback,
  ): Duplex | null | undefined
  override createConnection(...args: unknown[]): Duplex | null | undefined {
    const { connector, proxied } = this.#prepared
    if (proxied) return agent.createConnection.apply(this, args)
    const { options, listener } = netArguments(args)
    return connector.connect(options, listener)
  }

  /**
   * Called for each request; in its oldest form with host, port and local address. Node would work out
   * a server name for TLS each time. A subclass that lays TLS over its connections names the server
   * itself.
   */
  addRequest(
    request: http.ClientRequest,
    options: RequestOptions,
    port?: unknown,
    localAddress?: unknown,
  ): void {
    if (!this.#prepared.proxied && typeof options === 'object') options.servername ??= ''
    agent.addRequest.call(this, request, options, port, localAddress)
  }

  /** Asked for twice when a connection is free, of which it stays the same. */
  override getName(options?: http.ClientRequestArgs): string {
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
    options: http.ClientRequestArgs,
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
}
