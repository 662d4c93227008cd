/** The plugin's options in a script. */
import { isMainThread } from 'node:worker_threads'
import { connectorOf, type Connector } from '../../connect/connector'
import { ArgumentValueError, SocketTunerError } from '../../errors'
import { spec, text, type InputOf, type OutputOf } from '../../spec'
import { connectionFields } from '../http/agent-options'
import type { Script } from './script'

const { retry, ...tuning } = connectionFields

export const pluginOptions = spec({
  ...tuning,
  /**
   * As in TunedAgent, but the default is false: a load test counts the requests that fail.
   */
  retry: retry.default(false),
  /** An option of Artillery: the prefix that it puts before the plugin's name to get the name of the module. */
  scope: text(),
})

/** The value under the plugin's name in `config.plugins`. */
export type PluginConfig = Readonly<InputOf<typeof pluginOptions>>

/** The checked options. */
export interface CheckedConfig {
  readonly retry: boolean
  /** Opens all connections of this thread. @throws ERR_SOCKET_TUNER_UNSUPPORTED */
  readonly connector: () => Connector
}

/**
 * @throws what `new Connector()` throws; ERR_SOCKET_TUNER_UNKNOWN_OPTION for an unknown option
 */
export function readConfig({ config }: Script): CheckedConfig {
  const { name, own } = find(config.plugins)
  const checked = pluginOptions.check(name, own)
  return { retry: checked.retry, connector: connectorHere(checked) }
}

/** Finds the options under the name for `artillery-plugin-socket-tuner`, or under the name of the entry point. */
function find(plugins: Script['config']['plugins']): { name: string; own: unknown } {
  for (const key of ['socket-tuner', 'artillery']) {
    if (plugins !== undefined && key in plugins)
      return { name: `config.plugins.${key}`, own: plugins[key] ?? {} }
  }
  throw new ArgumentValueError('config.plugins', "must have 'socket-tuner' or 'artillery'", plugins)
}

function connectorHere(checked: OutputOf<typeof pluginOptions>): () => Connector {
  try {
    const connector = connectorOf(checked)
    return () => connector
  } catch (error) {
    // The load may run on another machine. There, its own threads check this.
    if (!isMainThread || !isUnsupported(error)) throw error
    return () => {
      throw error
    }
  }
}

function isUnsupported(error: unknown): boolean {
  return error instanceof SocketTunerError && error.code === 'ERR_SOCKET_TUNER_UNSUPPORTED'
}

/**
 * With these variables, Artillery's agents connect to a proxy by a client of their own.
 *
 * @throws ERR_INVALID_ARG_VALUE
 */
export function checkNoProxy(environment: NodeJS.ProcessEnv): void {
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY']) {
    const value = environment[name]
    if (value === undefined || value === '') continue
    const reason = 'cannot be set together with the socket-tuner plugin, which tunes no proxy'
    // The value may contain a password.
    throw new ArgumentValueError(name, reason, value, 'a URL')
  }
}
