/**
 * `socket-tuner/artillery`: a plugin that tunes the connections of Artillery 2's HTTP engine. Artillery itself is not
 * loaded. Its types are described here.
 */
import { TunedConnections } from './artillery/tuned-connections'
import { checkNoProxy, readConfig } from './artillery/plugin-options'
import { hookInto, type Script } from './artillery/script'
import { enterThread, type Thread } from './artillery/threads'

export type { PluginConfig } from './artillery/plugin-options'
export type { Scenario, Script } from './artillery/script'

/** Read by Artillery: the format of the reports that it passes to a plugin. This plugin does not use them. */
export const LEGACY_METRICS_FORMAT = false

/**
 * The plugin. Artillery creates it once in its main thread and once in each load thread. Before the first request of
 * each scenario of the HTTP engine, it replaces Artillery's agents by TunedAgent and TunedHttpsAgent with the same
 * options and the same time limits for silent connections: one pair per virtual user, or one for all with
 * `config.http.pool`.
 *
 * Artillery's reports then count `socket_tuner.connections.created`, `.reused` and `.dead_before_reuse`, and
 * `socket_tuner.requests.retried`.
 *
 * @throws before the load begins: ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE,
 *   ERR_SOCKET_TUNER_ADDRESS_FAMILY; in the load threads ERR_SOCKET_TUNER_UNSUPPORTED for an option that their platform
 *   does not have
 */
export class Plugin {
  readonly #connections: TunedConnections
  readonly #thread: Thread

  constructor(script: Script) {
    const config = readConfig(script)
    checkNoProxy(process.env)
    this.#connections = new TunedConnections(config)
    hookInto(script, (context, events) => {
      this.#connections.tune(context, events)
    })
    this.#thread = enterThread()
  }

  /** Closes the open connections in their close mode. Artillery then ends the process. */
  cleanup(done: (error?: Error | null) => void): void {
    this.#connections
      .close()
      .then(() => this.#thread.leave())
      .then(() => {
        done(null)
      }, done)
  }
}
