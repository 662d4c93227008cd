/** The agents that replace Artillery's, and their connections. */
import type * as http from 'node:http'
import * as net from 'node:net'
import { afterCreateConnection, afterFree, agentPartsOf } from '../../node/http-agent'
import { isKept, requestOn } from '../../node/http-request'
import { TunedAgent, TunedHttpsAgent } from '../http'
import { optionsWith } from '../http/agent-options'
import { newCounters } from '../sockets/reuse'
import type { CheckedConfig } from './plugin-options'
import { Reporter } from './counter-report'
import { replaceAgents, type Context, type Events } from './script'

/** The options of http.Agent, and those of agentkeepalive, which Artillery uses. */
interface KeepAliveOptions extends http.AgentOptions {
  /** How long a connection may be idle, ms. */
  readonly freeSocketTimeout?: number | undefined
}

export class TunedConnections {
  readonly #config: CheckedConfig
  /** By Artillery's agents, which belong to one virtual user or to all. */
  readonly #agents = new WeakMap<http.Agent, http.Agent>()
  readonly #open = new Set<net.Socket>()
  #closing = false

  constructor(config: CheckedConfig) {
    this.#config = config
  }

  /** Replaces the agents of a virtual user. */
  tune(context: Context, events: Events): void {
    replaceAgents(context, (own, isSecure) =>
      this.#inPlaceOf(own, isSecure ? TunedHttpsAgent : TunedAgent, events),
    )
  }

  /** Closes all open connections in their close mode, and those that are opened afterwards. */
  async close(): Promise<void> {
    this.#closing = true
    const closed = [...this.#open].map(
      (socket) => new Promise((resolve) => socket.once('close', resolve)),
    )
    for (const socket of this.#open) socket.destroy()
    await Promise.all(closed)
  }

  #inPlaceOf(
    own: http.Agent,
    Tuned: typeof TunedAgent | typeof TunedHttpsAgent,
    events: Events,
  ): http.Agent {
    const known = this.#agents.get(own)
    if (known !== undefined) return known
    const options: KeepAliveOptions = agentPartsOf(own).options
    const { retry, connector } = this.#config
    const counters = newCounters()
    const given = { connector: connector(), counters }
    const tuned = new Tuned(optionsWith({ ...options, retry }, given))
    this.#follow(tuned, new Reporter(counters, events))
    limitIdleTime(tuned, options.freeSocketTimeout)
    this.#agents.set(own, tuned)
    // A plugin or a scenario may pass the same context again.
    this.#agents.set(tuned, tuned)
    return tuned
  }

  /** Follows each connection of an agent from its start to its end. */
  #follow(agent: http.Agent, reporter: Reporter): void {
    afterCreateConnection(agent, (socket) => {
      // The connection was refused, and the request gets the error.
      if (!(socket instanceof net.Socket)) return
      this.#open.add(socket)
      limitSilence(socket)
      socket.once('close', () => {
        this.#open.delete(socket)
        reporter.report()
      })
      // The agent counts the connection later, when it gets it.
      process.nextTick(() => {
        reporter.report()
      })
      if (this.#closing) socket.destroy()
    })
    afterFree(agent, () => {
      reporter.report()
    })
  }
}

/** Closes connections after a time of idleness, ms, as agentkeepalive does. */
function limitIdleTime(agent: http.Agent, ms: number | undefined): void {
  if (ms === undefined || ms <= 0) return
  afterFree(agent, (socket) => {
    const { timeout = 0 } = socket
    const isIdle = isKept(socket) && !socket.destroyed
    if (isIdle && (timeout === 0 || timeout > ms)) socket.setTimeout(ms)
  })
}

/**
 * Fails a request whose connection is silent for the agent's `timeout`, with the code of agentkeepalive. http.Agent
 * would only emit 'timeout' on the request, where nobody listens: a virtual user could wait forever for the rest of an
 * answer.
 */
function limitSilence(socket: net.Socket): void {
  socket.on('timeout', () => {
    const request = requestOn(socket)
    if (request === undefined || request.listenerCount('timeout') > 0) return
    socket.destroy(Object.assign(new Error('Socket timeout'), { code: 'ERR_SOCKET_TIMEOUT' }))
  })
}
