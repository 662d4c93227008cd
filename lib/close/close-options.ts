/** How callers specify a close, which is the same everywhere. */
import { custom, spec, type InputOf } from '../spec'
import { closeLimits } from './close-limits'
import type { CloseMode, PolicyOptions } from './mode'
import { closeModeName, closeModeNames, closeModes, type CloseModeName } from './modes'

const mode = custom<CloseModeName, CloseMode>(
  closeModeName.takes,
  (argument, value) => closeModes[closeModeName.required().check(argument, value)],
)

export const closeOptions = spec({
  /** The close mode: `fin`, `deliver`, `lingering` or `reset`. See {@link CloseModeName}. */
  mode: mode.required(),
  /**
   * The mode for a connection that timed out. That is one destroyed after its 'timeout' event with nothing sent or
   * received since, by headersTimeout or requestTimeout of an http server, or by the deadline of closeSocket().
   * `reset` corresponds to nginx's reset_timedout_connection. Default: `mode`.
   */
  onTimeout: mode,
  /** The mode for a socket that is destroyed with an error. Default: `mode`. */
  onError: mode,
  ...closeLimits.fields,
})

/** A close mode and its options. */
export type CloseOptions = InputOf<typeof closeOptions>

/** How to close a connection: the name of a mode, or a mode with options. */
export type Close = CloseModeName | CloseOptions

/** One object per mode, since a client makes thousands of identical closes. */
const plainCloses = new Map<CloseMode, PolicyOptions>(
  closeModeNames.map((name) => [
    closeModes[name],
    Object.freeze(closeOptions.check('close', { mode: name })),
  ]),
)

/** The close in a mode of the table, with the defaults of all options. */
export function plainClose(of: CloseMode): PolicyOptions {
  return plainCloses.get(of) ?? closeOptions.check('close', { mode: of.name })
}

/** A close, as a member of other options bags. */
export const close = custom<Close, PolicyOptions>(
  `${closeModeName.takes}, or an object: ${closeOptions.names.join(', ')}`,
  (argument, value) =>
    typeof value === 'object' && value !== null
      ? closeOptions.check(argument, value)
      : plainClose(mode.required().check(argument, value)),
)

/** The close as a caller would write it. */
export function written({ mode, onTimeout, onError, ...limits }: PolicyOptions): CloseOptions {
  return {
    mode: nameOf(mode),
    ...(onTimeout === undefined ? {} : { onTimeout: nameOf(onTimeout) }),
    ...(onError === undefined ? {} : { onError: nameOf(onError) }),
    ...limits,
  }
}

function nameOf({ name }: CloseMode): CloseModeName {
  return name as CloseModeName
}
