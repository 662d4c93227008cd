/** The parts of Artillery's test scripts and virtual users that the plugin uses. */
import * as http from 'node:http'

/** The context of a virtual user in a scenario. The HTTP engine stores its agents here. */
export interface Context {
  _httpAgent?: unknown
  _httpsAgent?: unknown
}

/** Collects the counters of the virtual user's thread. */
export interface Events {
  emit(event: 'counter', name: string, value: number): unknown
}

export interface Scenario {
  /** `config.engine`, or else `'http'`, where there is none. */
  readonly engine?: string | undefined
  beforeScenario?: string | readonly string[] | undefined
}

/** A function that a scenario calls by its name. */
type Hook = (context: Context, events: Events, done: (error?: unknown) => void) => void

export interface Script {
  readonly config: {
    readonly plugins?: Readonly<Record<string, unknown>> | undefined
    readonly engine?: string | undefined
    /**
     * Functions by their names, once Artillery has loaded them; in its main thread the name of their
     * module.
     */
    processor?: object | string | undefined
  }
  readonly scenarios?: readonly Scenario[] | undefined
}

/** Replaces the agents of a virtual user: one for http:, one for https:. */
export function replaceAgents(
  context: Context,
  replace: (own: http.Agent, isSecure: boolean) => http.Agent,
): void {
  const { _httpAgent: plain, _httpsAgent: secure } = context
  if (plain instanceof http.Agent) context._httpAgent = replace(plain, false)
  if (secure instanceof http.Agent) context._httpsAgent = replace(secure, true)
}

const NAME = 'socketTunerAgents'

/** Calls a function at the start of each scenario of the HTTP engine, before all others. */
export function hookInto(
  { config, scenarios = [] }: Script,
  begin: (context: Context, events: Events) => void,
): void {
  // Artillery distinguishes async functions from those with a callback, such as this one.
  const hook: Hook = (context, events, done) => {
    try {
      begin(context, events)
    } catch (error) {
      done(error)
      return
    }
    done()
  }
  if (typeof config.processor === 'string') return
  config.processor = { ...config.processor, [NAME]: hook }
  for (const scenario of scenarios) {
    if ((scenario.engine ?? config.engine ?? 'http') !== 'http') continue
    scenario.beforeScenario = [NAME, ...[scenario.beforeScenario ?? []].flat()]
  }
}
