/** The catalogue's rows made ready for use: numbers of this platform, codec, TypeScript types. */
import { native } from '../kernel/binding'
import { ArgumentTypeError, SocketOptionError } from '../errors'
import { nearest } from '../spec'
import { catalogue } from './catalogue'
import type { Codec } from './codec'
import { codecs } from './kinds'
import type { OptionRow } from './row'
import type { OptionValues, Settings, UnexposedOption } from './settings'

export type { Settings } from './settings'

/** The options that `getOption` reads. */
export type ReadableOption = keyof OptionValues
/** The options that `setOption` and `tune` set. */
export type WritableOption = keyof Settings
/** Every option in the catalogue, by its kernel name. */
export type OptionName = ReadableOption | WritableOption | UnexposedOption

/** What an option reads as. */
export type OptionValue<N extends ReadableOption> = OptionValues[N]
/** What an option is set to. */
export type OptionInput<N extends WritableOption> = Exclude<Settings[N], undefined>

/** An option ready for use. */
export interface Option {
  readonly name: string
  readonly row: OptionRow
  /** The level's number on this platform. */
  readonly level: number
  /** The option's number; undefined where the platform has none. */
  readonly number: number | undefined
  readonly codec: Codec
  readonly readable: boolean
  readonly writable: boolean
  /** Setting it is never without a second look: see hazards.ts. */
  readonly guarded: boolean
  /** Node would rewrite it later: see keep-alive.ts. */
  readonly held: boolean
  /** The kernel may refuse a value that passed validation. */
  readonly refusable: boolean
}

/** An option that this platform has. */
export interface PresentOption extends Option {
  readonly number: number
}

const options = new Map<string, Option>(
  Object.entries<OptionRow>(catalogue).map(([name, row]) => [name, prepare(name, row)]),
)

function prepare(name: string, row: OptionRow): Option {
  const level = native.constants[row.level]
  return {
    name,
    row,
    level: level ?? 0,
    number: level === undefined ? undefined : native.constants[name],
    codec: codecs[row.kind],
    readable: row.access === 'r' || row.access === 'rw',
    writable: row.access === 'w' || row.access === 'rw',
    refusable: row.privilege !== undefined || row.refused !== undefined || row.only !== undefined,
    held: row.rewrittenByNode === true,
    guarded: needsPhase(row) || row.kind === 'linger',
  }
}

/** Whether it depends on the socket's kind and phase what a set does. */
export function needsPhase({ when, refusedLate, noEffectOnTcp }: OptionRow): boolean {
  return (
    (when !== 'any' && when !== 'connected' && refusedLate !== true) || noEffectOnTcp !== undefined
  )
}

/** The names of all options, by level and then by name, as docs/options.md has them. */
export const optionNames: readonly OptionName[] = Object.freeze([...options.keys()] as OptionName[])

/** @throws ERR_INVALID_ARG_TYPE, ERR_SOCKET_TUNER_UNKNOWN_OPTION */
export function optionOf(name: unknown): Option {
  const option = options.get(name as string)
  if (option !== undefined) return option
  if (typeof name !== 'string') throw new ArgumentTypeError('name', 'of type string', name)
  const meant = nearest(name, optionNames)
  const hint = meant === undefined ? 'see docs/options.md or optionNames' : `did you mean ${meant}?`
  throw new SocketOptionError(`No option is called '${name.slice(0, 64)}': ${hint}`, {
    code: 'ERR_SOCKET_TUNER_UNKNOWN_OPTION',
    option: name,
  })
}

export function writableOption(name: unknown): Option {
  const option = optionOf(name)
  if (!option.writable) throw refused(option, 'NOT_WRITABLE', 'cannot be set')
  return option
}

export function readableOption(name: unknown): Option {
  const option = optionOf(name)
  if (!option.readable) throw refused(option, 'NOT_READABLE', 'cannot be read')
  return option
}

export function isPresent(option: Option): option is PresentOption {
  return option.number !== undefined
}

function refused(
  { name, row }: Option,
  suffix: 'NOT_WRITABLE' | 'NOT_READABLE',
  what: string,
): SocketOptionError {
  const exposed = row.access !== 'none'
  return new SocketOptionError(
    exposed ? `${name} ${what}` : `${name} is not offered: ${row.because ?? ''}`,
    {
      code: `ERR_SOCKET_TUNER_${exposed ? suffix : 'NOT_EXPOSED'}`,
      option: name,
      level: row.level,
    },
  )
}
