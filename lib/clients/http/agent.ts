import * as http from 'node:http'
import type { Duplex } from 'node:stream'
import { netArguments } from '../../connect/connect-arguments'
import { agentMethodsOf, type ConnectionCallback } from '../../node/http-agent'
import type { ReuseCounters } from '../sockets/reuse'
import { destinationOf, type WarmDestination } from './destination'
import { prepareAgent, type AgentTuning, type TunedAgentOptions } from './agent-options'
import { Pool } from './pool'

interface RequestOptions extends http.ClientRequestArgs {
  servername?: string | undefined
}

const agent = agentMethodsOf(http.Agent)

/**
 * An http.Agent whose connections are tuned before connect(2) and leave no TIME_WAIT. It keeps them for the next
 * request unless `keepAlive` is false, and has all options and methods of http.Agent.
 *
 * It checks an idle connection before reuse, and closes it before the time that the server announces in its Keep-Alive
 * header. An idempotent request that fails on an idle connection all the same is repeated once, on a new connection.
 * Other requests are never sent twice.
 *
 * The constructor refuses invalid options. An error of one connection is the 'error' of its request.
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

  /** Returns a snapshot of the counters. */
  counters(): ReuseCounters {
    return { ...this.#pool.counters }
  }

  /**
   * Opens `minIdle` connections before the first request, and keeps as many idle ones ready until `destroy()`.
   *
   * They are used by requests with the same host, port and TLS options. They do not keep the process running, except
   * that a connect() in progress may do so for up to 10 s.
   *
   * @param destination a URL, or the options of http.request() that decide where it connects to
   * @returns resolves when they are ready, or as many as the limits of the agent allow. Rejects with the error of the
   *   first one that fails, or with ERR_SOCKET_TUNER_DESTROYED at destroy(). Further attempts follow all the same, so
   *   the promise may be ignored.
   * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_URL; ERR_INVALID_ARG_VALUE for another protocol and without `minIdle`
   */
  warm(destination: WarmDestination): Promise<void> {
    const options = destinationOf(this, destination)
    return this.#pool.warm(this.getName(options), options)
  }

  /**
   * Connects with the agent's tuning. Takes the arguments of net.createConnection(): options, a port and a host, or
   * the path of a unix-domain socket, then a listener for 'connect'.
   *
   * @throws what `connect()` throws. For a request of the agent, this is the request's 'error' instead
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
   * Called by Node for each request; in its oldest signature with host, port and local address. Sets an empty server
   * name, because Node would compute one each time. A subclass that adds TLS to its connections names the server
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

  /** Node calls this twice per freed connection, so the name is cached. */
  override getName(options?: http.ClientRequestArgs): string {
    const connection = this.#pool.freeing
    if (connection !== undefined && connection.options === options)
      return (connection.agentName ??= super.getName(options))
    return super.getName(options)
  }

  /** Called by Node when it has chosen an idle connection for a request. Replaces a dead one. */
  override reuseSocket(socket: Duplex, request: http.ClientRequest): void {
    if (this.#pool.reuse(socket, request)) super.reuseSocket(socket, request)
  }

  /** Called by Node for each new connection, also for one of a subclass's createConnection(). */
  createSocket(
    request: http.ClientRequest,
    options: http.ClientRequestArgs,
    callback: ConnectionCallback,
  ): void {
    this.#pool.open(request, this.getName(options), options, callback, (created) => {
      agent.createSocket.call(this, request, options, created)
    })
  }

  override destroy(): void {
    this.#pool.abandon()
    super.destroy()
  }
}
