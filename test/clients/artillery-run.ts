/** Calls a plugin as Artillery does, without Artillery. */
import type { Plugin, Script } from '../../lib/clients/artillery'
import type { Context } from '../../lib/clients/artillery/script'

type Hook = (context: Context, events: object, done: (error?: Error) => void) => void

/** Begins a scenario as Artillery's HTTP engine does. */
export async function beginScenario(
  script: Script,
  context: Context,
  events: object,
): Promise<void> {
  const { processor } = script.config
  const [scenario] = script.scenarios ?? []
  const [first = ''] = [scenario?.beforeScenario ?? []].flat()
  const hook = (processor as Record<string, Hook>)[first]
  // For any other kind of function Artillery would expect a promise.
  expect(hook?.constructor.name).toBe('Function')
  await new Promise<void>((resolve, reject) => {
    hook?.(context, events, (error) => {
      if (error === undefined) resolve()
      else reject(error)
    })
  })
}

/** Unloads the plugin as Artillery does when a run is over. */
export function cleanUp(plugin: Plugin): Promise<void> {
  return new Promise((resolve, reject) => {
    plugin.cleanup((error) => {
      if (error instanceof Error) reject(error)
      else resolve()
    })
  })
}
