/** How callers say what a close is to do: the same everywhere. */
import { custom, spec, type InputOf } from '../spec'
import { closeLimits, type CloseLimits } from './limits'
import type { CloseMode } from './mode'
import { closeModeName, closeModes, type CloseModeName } from './modes'

/** A close that was checked. */
export type PolicyOptions = CloseLimits & { readonly mode: CloseMode }

const mode = custom<CloseModeName, CloseMode>(
  closeModeName.takes,
  (argument, value) => closeModes[closeModeName.required().check(argument, value)],
)

export const closeOptions = spec({
  /** See {@link CloseModeName}. */
  mode: mode.required(),
  ...closeLimits.fields,
})

/** A close mode and what goes with it. */
export type CloseOptions = InputOf<typeof closeOptions>

/** How a connection is to be closed: a mode by its name, or with options. */
export type Close = CloseModeName | CloseOptions

const defaults = closeLimits.check('close', {})

/** A close, for bags that have it among others. */
export const close = custom<Close, PolicyOptions>(
  `${closeModeName.takes}, or an object: ${closeOptions.names.join(', ')}`,
  (argument, value) =>
    typeof value === 'object' && value !== null
      ? closeOptions.check(argument, value)
      : { mode: mode.required().check(argument, value), ...defaults },
)

/** The close of a mode with nothing else said. */
export function plainClose(of: CloseMode): PolicyOptions {
  return { mode: of, ...defaults }
}

/** The options of a policy that has more than these. */
export function optionsOf(policy: PolicyOptions): PolicyOptions {
  const options = closeLimits.names.map((limit) => [limit, policy[limit]])
  return { mode: policy.mode, ...(Object.fromEntries(options) as CloseLimits) }
}

/** As a caller would write it. */
export function written(policy: PolicyOptions): CloseOptions {
  const { mode, ...limits } = optionsOf(policy)
  return { mode: mode.name as CloseModeName, ...limits }
}
