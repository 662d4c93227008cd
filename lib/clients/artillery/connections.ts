/** The agents in place of Artillery's, and the connections that they make. */
import type * as http from 'node:http'
import * as net from 'node:net'
import {
  afterCreateConnection,
  afterFree,
  agentPartsOf,
  isKept,
  requestOn,
} from '../../node/http-client'
import { TunedAgent, TunedHttpsAgent, type TunedAgentOptions } from '../http'
import { Reporter } from './report'
import { replaceAgents, type Context, type Events } from './script'

/** Beside those of http.Agent, the options of agentkeepalive, whose agents Artillery has. */
interface KeepAliveOptions extends http.AgentOptions {
  /** How long a connection may be idle, ms. */
  readonly freeSocketTimeout?: number | undefined
}

export class Connections {
  readonly #tuning: TunedAgentOptions
  /** By Artillery's agents, which are one virtual user's or all their. */
  readonly #agents = new WeakMap<http.Agent, http.Agent>()
  readonly #open = new Set<net.Socket>()
  #closing = false

  constructor(tuning: TunedAgentOptions) {
    this.#tuning = tuning
  }

  /** Replaces the agents of a virtual user. */
  tune(context: Context, events: Events): void {
    replaceAgents(context, (own, isSecure) =>
      this.#inPlaceOf(own, isSecure ? TunedHttpsAgent : TunedAgent, events),
    )
  }

  /** Closes all that are open, each in its close mode, and those that are still begun afterwards. */
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
    const tuned = new Tuned({ ...options, ...this.#tuning })
    this.#follow(tuned, new Reporter(() => tuned.counters(), events))
    limitIdleTime(tuned, options.freeSocketTimeout)
    this.#agents.set(own, tuned)
    // Where a plugin or a scenario brings a context here once more.
    this.#agents.set(tuned, tuned)
    return tuned
  }

  /** Sees each connection of an agent, from its beginning to its end. */
  #follow(agent: http.Agent, reporter: Reporter): void {
    afterCreateConnection(agent, (socket) => {
      // Refused: the request has the error.
      if (!(socket instanceof net.Socket)) return
      this.#open.add(socket)
      limitSilence(socket)
      socket.once('close', () => {
        this.#open.delete(socket)
        reporter.report()
      })
      // The agent counts it when it has it.
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

/** Closes connections that are idle for so long, ms, as agentkeepalive does. */
function limitIdleTime(agent: http.Agent, ms: number | undefined): void {
  if (ms === undefined || ms <= 0) return
  afterFree(agent, (socket) => {
    const { timeout = 0 } = socket
    const isIdle = isKept(socket) && !socket.destroyed
    if (isIdle && (timeout === 0 || timeout > ms)) socket.setTimeout(ms)
  })
}

/**
 * Fails a request whose connection says nothing for the agent's `timeout`, with the code that
 * agentkeepalive gives: http.Agent would only tell the request, which does not listen, so that a
 * virtual user could wait for the rest of an answer for ever.
 */
function limitSilence(socket: net.Socket): void {
  socket.on('timeout', () => {
    const request = requestOn(socket)
    if (request === undefined || request.listenerCount('timeout') > 0) return
    socket.destroy(Object.assign(new Error('Socket timeout'), { code: 'ERR_SOCKET_TIMEOUT' }))
  })
}
