import { optionOf, type OptionName } from './option'
import type { OptionRow } from './row'

/** The members of a row that only the generated tests use. */
type ForTests = Pick<OptionRow, 'example' | 'roundTrip'>

/** The facts of the catalogue about one option. */
export interface OptionInfo extends Readonly<Omit<OptionRow, keyof ForTests>> {
  readonly name: string
  /** The level's number on this platform. */
  readonly levelNumber: number
  /** The option's number on this platform; undefined if the platform lacks the option. */
  readonly number: number | undefined
}

/**
 * Returns the facts of the catalogue about an option: level, unit, range, when it takes effect, whether
 * accepted sockets inherit it, privilege, hazard, platforms.
 *
 * @throws ERR_SOCKET_TUNER_UNKNOWN_OPTION
 */
export function describeOption(name: OptionName): OptionInfo {
  const { row, level, number } = optionOf(name)
  const info: OptionInfo & ForTests = { name, ...row, levelNumber: level, number }
  delete info.example
  delete info.roundTrip
  return info
}
