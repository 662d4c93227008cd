/**
 * `socket-tuner/artillery`: a plugin of Artillery 2 under which the connections of its HTTP engine are
 * tuned. Artillery itself is not loaded: what it gives and takes is described here.
 */
import { Connections } from './artillery/connections'
import { checkNoProxy, readConfig } from './artillery/config'
import { hookInto, type Script } from './artillery/script'
import { enterThread, type Thread } from './artillery/threads'

export type { PluginConfig } from './artillery/config'
export type { Scenario, Script } from './artillery/script'

/** Artillery's own: how it hands its reports to a plugin. They are not looked at. */
export const LEGACY_METRICS_FORMAT = false

/**
 * What Artillery makes of `config.plugins`, once in its main thread and once in each thread that makes
 * load. Each scenario of the HTTP engine has its agents replaced by TunedAgent and TunedHttpsAgent
 * before its first request: with the options of Artillery's own, one pair per virtual user or, with
 * `config.http.pool`, one for all, and with Artillery's limits on a connection that says nothing.
 *
 * What became of the connections is counted in Artillery's reports: `socket_tuner.connections.created`,
 * `.reused` and `.dead_before_reuse`, and `socket_tuner.requests.retried`.
 *
 * @throws before the load begins: ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE,
 *   ERR_SOCKET_TUNER_ADDRESS_FAMILY; ERR_SOCKET_TUNER_UNSUPPORTED, in the threads that make load, for
 *   an option that their platform does not have
 */
export class Plugin {
  readonly #connections: Connections
  readonly #thread: Thread

  constructor(script: Script) {
    const config = readConfig(script)
    checkNoProxy(process.env)
    this.#connections = new Connections(config)
    hookInto(script, (context, events) => {
      this.#connections.tune(context, events)
    })
    this.#thread = enterThread()
  }

  /** Closes what is still open, in its close mode; Artillery ends the process afterwards. */
  cleanup(done: (error?: Error | null) => void): void {
    this.#connections
      .close()
      .then(() => this.#thread.leave())
      .then(() => {
        done(null)
      }, done)
  }
}
