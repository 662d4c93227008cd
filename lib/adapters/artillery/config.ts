/** The plugin's part of a script, checked. */
import { isMainThread } from 'node:worker_threads'
import { SourcePool } from '../../connect/source-pool'
import { tuningOptionNames } from '../../connect/tuning'
import { ArgumentValueError, SocketOptionError, checkObject } from '../../errors'
import { TunedAgent, type TunedAgentOptions } from '../http'
import type { Script } from './script'

/** What stands under the plugin's name in `config.plugins`. */
export interface PluginConfig extends Omit<
  Pick<TunedAgentOptions, (typeof tuningKeys)[number]>,
  'source'
> {
  /** An address of the machine that makes the load. */
  readonly source?: string | undefined
  /** The same, several: each thread spreads its own connections over them. */
  readonly sources?: readonly string[] | undefined
  /**
   * As in TunedAgent, but false unless it is given: a load test is to count the requests that fail.
   */
  readonly retry?: boolean | undefined
  /** Artillery's own: what goes before the plugin's name to make the name of its module. */
  readonly scope?: string | undefined
}

const tuningKeys = [...tuningOptionNames, 'retry'] as const

const keys: readonly string[] = [...tuningKeys, 'sources', 'scope']

/**
 * The options for the agents.
 *
 * @throws what `new TunedAgent()` and `new SourcePool()` throw, and ERR_INVALID_ARG_VALUE for what is
 *   no option of the plugin
 */
export function readConfig({ config }: Script): TunedAgentOptions {
  const { name, own } = find(config.plugins)
  checkObject(name, own)
  for (const [key, value] of Object.entries(own)) {
    if (keys.includes(key)) continue
    throw new ArgumentValueError(`${name}.${key}`, `is not one of: ${keys.join(', ')}`, value)
  }
  const { sources, retry = false, ...rest } = own as PluginConfig
  if (rest.source !== undefined && sources !== undefined)
    throw new ArgumentValueError(`${name}.sources`, 'cannot be given together with source', sources)
  const source = sources === undefined ? rest.source : new SourcePool(sources)
  const options: TunedAgentOptions & { scope: undefined } = {
    ...rest,
    source,
    retry,
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
  return error instanceof SocketOptionError && error.code === 'ERR_SOCKET_TUNER_UNSUPPORTED'
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
