/** The plugin's part of a script, checked. */
import { isMainThread } from 'node:worker_threads'
import { written } from '../../close/options'
import { ipAddress } from '../../connect/address'
import { SourcePool } from '../../connect/source-pool'
import { ArgumentValueError, SocketTunerError } from '../../errors'
import { list, spec, text, type InputOf } from '../../spec'
import { TunedAgent, type TunedAgentOptions } from '../http'
import { agentOptions } from '../http/options'
import type { Script } from './script'

const { retry, ...tuning } = agentOptions.fields

export const pluginOptions = spec({
  ...tuning,
  /** An address of the machine that makes the load. */
  source: ipAddress,
  /** The same, several: each thread spreads its own connections over them. */
  sources: list(ipAddress, { min: 1 }),
  /**
   * As in TunedAgent, but false unless it is given: a load test is to count the requests that fail.
   */
  retry: retry.default(false),
  /** Artillery's own: what goes before the plugin's name to make the name of its module. */
  scope: text(),
})

/** What stands under the plugin's name in `config.plugins`. */
export type PluginConfig = Readonly<InputOf<typeof pluginOptions>>

/**
 * The options for the agents.
 *
 * @throws what `new TunedAgent()` and `new SourcePool()` throw, and
 *   ERR_SOCKET_TUNER_UNKNOWN_OPTION for what is no option of the plugin
 */
export function readConfig({ config }: Script): TunedAgentOptions {
  const { name, own } = find(config.plugins)
  const { sources, ...checked } = pluginOptions.check(name, own)
  if (checked.source !== undefined && sources !== undefined)
    throw new ArgumentValueError(`${name}.sources`, 'cannot be given together with source', sources)
  const options: TunedAgentOptions & { scope: undefined } = {
    ...checked,
    source: sources === undefined ? checked.source : new SourcePool(sources),
    close: written(checked.close),
    scope: undefined,
  }
  check(options)
  return options
}

/** Under the name that makes `artillery-plugin-socket-tuner`, or under that of the entry point. */
function find(plugins: Script['config']['plugins']): { name: string; own: unknown } {
  for (const key of ['socket-tuner', 'artillery']) {
    if (plugins !== undefined && key in plugins)
      return { name: `config.plugins.${key}`, own: plugins[key] ?? {} }
  }
  throw new ArgumentValueError('config.plugins', "must have 'socket-tuner' or 'artillery'", plugins)
}

function check(options: TunedAgentOptions): void {
  try {
    new TunedAgent(options).destroy()
  } catch (error) {
    // The load may be made on another machine; where it is made, it is this one's threads that make it.
    if (isMainThread && isUnsupported(error)) return
    throw error
  }
}

function isUnsupported(error: unknown): boolean {
  return error instanceof SocketTunerError && error.code === 'ERR_SOCKET_TUNER_UNSUPPORTED'
}

/**
 * Artillery's agents connect to the proxies that these variables name, by a client of their own.
 *
 * @throws ERR_INVALID_ARG_VALUE
 */
export function checkNoProxy(environment: NodeJS.ProcessEnv): void {
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY']) {
    const value = environment[name]
    if (value === undefined || value === '') continue
    const reason = 'cannot be set together with the socket-tuner plugin, which tunes no proxy'
    // There may be a password in it.
    throw new ArgumentValueError(name, reason, value, 'a URL')
  }
}
