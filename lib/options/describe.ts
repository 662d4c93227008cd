import { optionOf, type OptionName } from './option'
import type { OptionRow } from './row'

/** What the catalogue knows of an option. */
export interface OptionInfo extends Readonly<OptionRow> {
  readonly name: string
  /** The level's number on this platform. */
  readonly levelNumber: number
  /** The option's number on this platform; undefined where it has no such option. */
  readonly number: number | undefined
}

/**
 * What the catalogue knows of an option: level, unit, range, when it takes effect, whether accepted
 * sockets inherit it, privilege, hazard, platforms.
 *
 * @throws ERR_SOCKET_TUNER_UNKNOWN_OPTION
 */
export function describeOption(name: OptionName): OptionInfo {
  const { row, level, number } = optionOf(name)
  return { name, ...row, levelNumber: level, number }
}
