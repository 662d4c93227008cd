import { isDeepStrictEqual } from 'node:util'
import { checkObject, type SocketOptionError } from '../errors'
import { custom } from '../spec'
import { descriptorOf, type Target } from '../target'
import { getOption } from './access'
import { BatchFailure, UNSUPPORTED, runBatch, runBatchOnFresh, type Operation } from './batch'
import { absence, absentOption, kernelFailure } from './failure'
import {
  phaseOf,
  shortcomingOf,
  withoutEffect,
  warnInherited,
  warnOf,
  type Shortcoming,
} from './hazards'
import { holdKeepAlive } from './keep-alive'
import {
  isPresent,
  needsPhase,
  optionOf,
  writableOption,
  type Option,
  type OptionInput,
  type OptionValue,
  type PresentOption,
  type ReadableOption,
  type Settings,
  type WritableOption,
} from './option'
import type { OptionLevel } from './row'

/** The outcome of one setting. `value` is the value read back; undefined if the option cannot be read. */
export type OptionOutcome<N extends WritableOption> =
  /** Set, and read back as set. */
  | { readonly status: 'applied'; readonly value: Read<N> | undefined }
  /** Set, but the kernel changed the value. */
  | {
      readonly status: 'adjusted'
      readonly requested: OptionInput<N>
      readonly value: Read<N>
      readonly why: string
    }
  /** Set, but too late to have its full effect. */
  | {
      readonly status: 'tooLate'
      readonly requested: OptionInput<N> | undefined
      readonly value: Read<N> | undefined
      readonly why: string
    }
  /** Set, but without effect on this kind of socket. */
  | {
      readonly status: 'noEffect'
      readonly requested: OptionInput<N> | undefined
      readonly value: Read<N> | undefined
      readonly why: string
    }
  /** This platform, kernel or kind of socket lacks the option; nothing was changed. */
  | {
      readonly status: 'unsupported'
      readonly requested: OptionInput<N> | undefined
      readonly why: string
    }

type Read<N extends WritableOption> = N extends ReadableOption ? OptionValue<N> : never

/** The outcome of each setting passed to tune(). */
export type TuneReport<S extends object = Settings> = {
  readonly [N in keyof S & WritableOption]: OptionOutcome<N>
}

/**
 * Makes an unknown option or a wrong value a compile error even where the type is inferred.
 * Picked from {@link Settings}, so that an editor shows the comment of each option.
 */
export type Checked<S> = Pick<Settings, keyof S & WritableOption> & {
  readonly [N in keyof S]: N extends WritableOption ? unknown : never
}

/** The field for socket options in an options bag. prepareSettings() checks the values. */
export const settingsOption = custom<Settings>(
  'socket options by their names',
  (argument, value) => {
    checkObject(argument, value)
    return value
  },
)

/** Validated settings, ready for any number of sockets. */
export interface PreparedSettings {
  readonly operations: readonly Operation[]
  /** The operations whose options Node's setKeepAlive() would overwrite. */
  readonly held: readonly Operation[]
  /** Settings for options that this platform does not have. */
  readonly missing: readonly Missing[]
}

interface Missing {
  readonly option: Option
  readonly requested: unknown
}

/**
 * Sets several options: checks all values before the first system call, sets them in one native call in
 * the order of the object, reads each back, and restores all if one is refused. Settings that are undefined
 * are skipped.
 *
 * Makes two system calls per option, and one more if a later option could be refused. Without any option to
 * set it makes one, which refuses a descriptor that is not an open socket.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE, ERR_SOCKET_TUNER_UNKNOWN_OPTION,
 *   ERR_SOCKET_TUNER_WRONG_SOCKET, or the errno name; `error.notRestored` lists the options that could not
 *   be restored
 */
export function tune<const S extends Settings>(
  target: Target,
  settings: S & Checked<S>,
): TuneReport<S> {
  const prepared = prepareSettings(settings)
  // Without an operation, no other system call would refuse a descriptor that is not an open socket.
  if (prepared.operations.length === 0 && isPresent(optionOf('SO_TYPE')))
    getOption(target, 'SO_TYPE')
  return applySettings(target, prepared)
}

/** Checks settings without a socket. */
export function prepareSettings(settings: Settings): PreparedSettings {
  checkObject('settings', settings)
  const operations: Operation[] = []
  const missing: Missing[] = []
  for (const name of Object.keys(settings)) {
    const value = settings[name as WritableOption]
    if (value === undefined) continue
    const option = writableOption(name)
    const encoded = option.codec.encode(name, option.row, value)
    const requested = option.row.secret === true ? undefined : value
    if (isPresent(option))
      operations.push({ option, encoded, requested, save: false, row: 0, companions: 0 })
    else missing.push({ option, requested })
  }
  markSaves(operations)
  return preparedOf(operations, missing)
}

/** Builds prepared settings from parts of those that prepareSettings() returned. */
export function preparedOf(
  operations: readonly Operation[],
  missing: readonly Missing[],
): PreparedSettings {
  return { operations, held: operations.filter(({ option }) => option.held), missing }
}

/** Applies prepared settings. */
export function applySettings(
  target: Target,
  { operations, held, missing }: PreparedSettings,
): TuneReport {
  let fd = descriptorOf(target)
  let shortcomings: Map<string, Shortcoming> | undefined
  if (operations.some(isGuarded)) {
    shortcomings = guard(fd, operations)
    // A subscriber to warnings may have closed the socket.
    fd = descriptorOf(target)
  }
  const results = runBatch(fd, operations, companionsOf)
  if (results instanceof BatchFailure) throw refusal(fd, results)
  holdKeepAlive(target, held)
  const report: Record<string, unknown> = {}
  operations.forEach((operation, index) => {
    const { name } = operation.option
    report[name] = outcome(operation, results[index], shortcomings?.get(name))
  })
  for (const { option, requested } of missing) {
    report[option.name] = { status: 'unsupported', requested, why: absence(option) }
  }
  return report as TuneReport
}

/**
 * Applies prepared settings to the descriptor of a new TCP socket, with one system call each. The caller closes the
 * descriptor if this throws. An option that this platform or kernel lacks is an error.
 *
 * @throws as {@link tune}, and ERR_SOCKET_TUNER_UNSUPPORTED
 */
export function applyToFresh(fd: number, { operations, missing }: PreparedSettings): void {
  requirePresent(missing)
  if (operations.length === 0) return
  for (const { option } of operations) {
    const shortcoming = withoutEffect(option)
    if (shortcoming !== undefined) warnOf(option, shortcoming)
  }
  const failure = runBatchOnFresh(fd, operations)
  if (failure !== undefined) throw refusal(fd, failure)
}

/** @throws ERR_SOCKET_TUNER_UNSUPPORTED for a setting whose option this platform lacks */
export function requirePresent(missing: PreparedSettings['missing']): void {
  const [first] = missing
  if (first !== undefined) throw absentOption(first.option)
}

function refusal(fd: number, { operation, errno, notRestored }: BatchFailure): SocketOptionError {
  const error = kernelFailure('setsockopt', operation.option, fd, errno, operation.requested)
  if (notRestored.length > 0) {
    error.message += `; these options could not be restored and stay as set: ${notRestored.join(', ')}`
    Object.defineProperty(error, 'notRestored', { value: notRestored, enumerable: true })
  }
  return error
}

function isGuarded({ option }: Operation): boolean {
  return option.guarded
}

/**
 * The old value is needed only if a later operation can be refused: one whose row says so, or the first of
 * its level, which a socket of another protocol refuses.
 */
function markSaves(operations: readonly Operation[]): void {
  let last = -1
  const levels = new Set<OptionLevel>(['SOL_SOCKET'])
  operations.forEach(({ option }, index) => {
    const { level } = option.row
    if (!levels.has(level) || option.refusable) last = index
    levels.add(level)
  })
  for (let index = 0; index < last; index++) {
    const operation = operations[index]
    if (operation !== undefined) operation.save = true
  }
}

function companionsOf({ row }: PresentOption): readonly PresentOption[] {
  return row.alsoChanges?.map((name) => optionOf(name)).filter(isPresent) ?? []
}

/** Warns before anything is changed. Returns the shortcomings by the names of the options. */
function guard(fd: number, operations: readonly Operation[]): Map<string, Shortcoming> {
  const shortcomings = new Map<string, Shortcoming>()
  const phase = operations.some(({ option }) => needsPhase(option.row)) ? phaseOf(fd) : 'unknown'
  for (const { option, encoded } of operations) {
    warnInherited(option, fd, encoded)
    const shortcoming = shortcomingOf(option, encoded, phase, fd)
    if (shortcoming === undefined) continue
    warnOf(option, shortcoming)
    shortcomings.set(option.name, shortcoming)
  }
  return shortcomings
}

function outcome(
  { option, encoded, requested }: Operation,
  value: unknown,
  shortcoming: Shortcoming | undefined,
): unknown {
  if (value === UNSUPPORTED) return { status: 'unsupported', requested, why: absence(option) }
  if (shortcoming !== undefined) {
    const { status, why } = shortcoming
    return { status, requested, value, why }
  }
  if (value === undefined) return { status: 'applied', value }
  const expected = normalized(option, encoded)
  if (value === expected || isDeepStrictEqual(value, expected)) return { status: 'applied', value }
  const why = option.row.rewritten ?? 'the kernel stores a different value from the one set'
  return { status: 'adjusted', requested, value, why }
}

/** Returns the requested value as it would read back if the kernel did not change it. */
function normalized({ codec }: PresentOption, encoded: number | Uint8Array): unknown {
  if (codec.carries === 'int') return codec.decode(encoded as number)
  return codec.decode(encoded as Uint8Array)
}
