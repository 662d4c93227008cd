/** The rows of the catalogue, prepared for use: the numbers of this platform, codecs, TypeScript types. */
import { native } from '../kernel/binding'
import { ArgumentTypeError, SocketOptionError } from '../errors'
import { nearest } from '../spec'
// Reads the file now, since a process may have no descriptor left later. The bundle has its rows as a text instead.
import './catalogue'
import type { catalogue } from './catalogue'
import type { Codec } from './codec'
import { kinds } from './kinds'
import type { OptionRow } from './row'
import { names, type OptionValues, type Settings, type UnexposedOption } from './settings'

export type { Settings } from './settings'

/** The options that `getOption` reads. */
export type ReadableOption = keyof OptionValues
/** The options that `setOption` and `tune` set. */
export type WritableOption = keyof Settings
/** Every option in the catalogue, by its kernel name. */
export type OptionName = ReadableOption | WritableOption | UnexposedOption

/** The type of an option's value when it is read. */
export type OptionValue<N extends ReadableOption> = OptionValues[N]
/** The type of an option's value when it is set. */
export type OptionInput<N extends WritableOption> = Exclude<Settings[N], undefined>

/** A row of the catalogue, prepared for use. */
export interface Option {
  readonly name: string
  readonly row: OptionRow
  /** The level's number on this platform. */
  readonly level: number
  /** The option's number; undefined if the platform lacks the option. */
  readonly number: number | undefined
  readonly codec: Codec
  readonly readable: boolean
  readonly writable: boolean
  /** A set must be checked for hazards first: see hazards.ts. */
  readonly guarded: boolean
  /** Node may overwrite it later: see keep-alive.ts. */
  readonly held: boolean
  /** The kernel may refuse a value that passed validation. */
  readonly refusable: boolean
}

/** An option that this platform has. */
export interface PresentOption extends Option {
  readonly number: number
}

const options = new Map<string, Option>()

/** Prepares the rows at the first use of an option, because that takes a sixth of the time of loading this library. */
function prepareOptions(): void {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- evaluates the rows now, not when this module is loaded
  const rows = (require('./catalogue') as { catalogue: typeof catalogue }).catalogue
  for (const [name, row] of Object.entries<OptionRow>(rows)) options.set(name, prepare(name, row))
}

function prepare(name: string, row: OptionRow): Option {
  const codec: Codec = kinds[row.kind]
  const level = native.constants[row.level]
  return {
    name,
    row,
    level: level ?? 0,
    number: level === undefined ? undefined : native.constants[name],
    codec,
    readable: row.access === 'r' || row.access === 'rw',
    writable: row.access === 'w' || row.access === 'rw',
    refusable: row.privilege !== undefined || row.refused !== undefined || row.only !== undefined,
    held: row.rewrittenByNode === true,
    guarded: needsPhase(row) || (codec.carries !== 'int' && codec.inheritedHazard !== undefined),
  }
}

/** Whether the effect of a set depends on the kind or the phase of the socket. */
export function needsPhase({ when, refusedLate, noEffectOnTcp }: OptionRow): boolean {
  return (
    (when !== 'any' && when !== 'connected' && refusedLate !== true) || noEffectOnTcp !== undefined
  )
}

/** The names of all options, in the order of docs/options.md: by level, then by name. */
export const optionNames: readonly OptionName[] = Object.freeze<OptionName[]>([...names])

/** @throws ERR_INVALID_ARG_TYPE, ERR_SOCKET_TUNER_UNKNOWN_OPTION */
export function optionOf(name: unknown): Option {
  if (options.size === 0) prepareOptions()
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
  reason: string,
): SocketOptionError {
  const exposed = row.access !== 'none'
  return new SocketOptionError(
    exposed ? `${name} ${reason}` : `${name} is not offered: ${row.because ?? ''}`,
    {
      code: `ERR_SOCKET_TUNER_${exposed ? suffix : 'NOT_EXPOSED'}`,
      option: name,
      level: row.level,
    },
  )
}
