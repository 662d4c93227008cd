import type * as http from 'node:http'
import * as https from 'node:https'
import type * as net from 'node:net'
import type { Duplex } from 'node:stream'
import type { ConnectionOptions } from 'node:tls'
import { httpsAgentArguments } from '../../connect/connect-arguments'
import { connectTlsBy } from '../../connect/connector'
import { agentMethodsOf, type ConnectionCallback } from '../../node/http-agent'
import type { ReuseCounters } from '../sockets/reuse'
import { destinationOf, type WarmDestination } from './destination'
import { prepareAgent, type AgentTuning, type TunedHttpsAgentOptions } from './agent-options'
import { Pool } from './pool'

const agent = agentMethodsOf(https.Agent)

/** The options that https.Agent gets for a connection. */
type TlsArgs = https.RequestOptions & Pick<ConnectionOptions, 'socket'>

/**
 * An https.Agent, with its session cache and with everything that {@link TunedAgent} adds to http.Agent.
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
   * @param destination a URL, or the options of https.request() that decide where it connects to
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
   * Connects with the agent's tuning. Takes the arguments of https.Agent's own method: options, optionally after a port
   * and a host. The callback is only called for a tunnel through a proxy (`proxyEnv`).
   *
   * @throws what `connect()` and tls.connect() throw. For a request of the agent, this is the request's 'error' instead
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

  /** Node calls this twice per freed connection, so the name is cached. */
  override getName(options?: https.RequestOptions): string {
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
    options: https.RequestOptions,
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

  /** Opens the connection here and lets Node's agent add TLS to it, so that the agent's session cache is used. */
  #connect(options: TlsArgs): net.Socket {
    const socket = connectTlsBy(
      this.#prepared.connector,
      options,
      (layered) => agent.createConnection.call(this, layered) as net.Socket,
    )
    if (options.timeout) socket.setTimeout(options.timeout)
    return socket
  }
}
