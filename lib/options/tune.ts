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
  warnListenerLinger,
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

/** What came of one setting. `value` is what the kernel says afterwards; absent where it cannot be read. */
export type OptionOutcome<N extends WritableOption> =
  /** Set, and read back as set. */
  | { readonly status: 'applied'; readonly value: Read<N> | undefined }
  /** Set, and the kernel made another value of it. */
  | {
      readonly status: 'adjusted'
      readonly requested: OptionInput<N>
      readonly value: Read<N>
      readonly why: string
    }
  /** Set, and past the moment at which it has its full effect. */
  | {
      readonly status: 'tooLate'
      readonly requested: OptionInput<N> | undefined
      readonly value: Read<N> | undefined
      readonly why: string
    }
  /** Set, on a socket of a kind that it does nothing for. */
  | {
      readonly status: 'noEffect'
      readonly requested: OptionInput<N> | undefined
      readonly value: Read<N> | undefined
      readonly why: string
    }
  /** This platform, kernel or kind of socket does not have it; nothing was changed. */
  | {
      readonly status: 'unsupported'
      readonly requested: OptionInput<N> | undefined
      readonly why: string
    }

type Read<N extends WritableOption> = N extends ReadableOption ? OptionValue<N> : never

/** What came of each setting given to tune(). */
export type TuneReport<S extends object = Settings> = {
  readonly [N in keyof S & WritableOption]: OptionOutcome<N>
}

/**
 * Makes what is no option, or has the wrong value, a compile error also where the type is inferred.
 * Picked from {@link Settings}, so that an editor shows what is written there of an option.
 */
export type Checked<S> = Pick<Settings, keyof S & WritableOption> & {
  readonly [N in keyof S]: N extends WritableOption ? unknown : never
}

/** Options by their names, for bags that have them among others. The values are checked where they are prepared. */
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
  /** Those of them that Node's setKeepAlive() would rewrite. */
  readonly held: readonly Operation[]
  /** Settings for options that this platform does not have. */
  readonly missing: readonly Missing[]
}

interface Missing {
  readonly option: Option
  readonly requested: unknown
}

const socketType = optionOf('SO_TYPE')

/**
 * Sets many options at once: checks all values before the first system call, applies them in one
 * native call in the order written, reads each back, and puts everything back when one is refused.
 * Settings that are undefined are left out.
 *
 * Takes two system calls per option, one more where a later one could be refused, and one where no
 * option is to be set: what is no open socket is refused there too.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE, ERR_SOCKET_TUNER_UNKNOWN_OPTION,
 *   ERR_SOCKET_TUNER_WRONG_SOCKET, or the errno's name; `error.notRestored` lists what could not be put back
 */
export function tune<const S extends Settings>(
  target: Target,
  settings: S & Checked<S>,
): TuneReport<S> {
  const prepared = prepareSettings(settings)
  // Without an operation there is no system call that would refuse what is no open socket.
  if (prepared.operations.length === 0 && isPresent(socketType)) getOption(target, 'SO_TYPE')
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

/** For a part of settings that prepareSettings() accepted. */
export function preparedOf(
  operations: readonly Operation[],
  missing: readonly Missing[],
): PreparedSettings {
  return { operations, held: operations.filter(({ option }) => option.held), missing }
}

/** Applies settings that prepareSettings() accepted. */
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
 * Applies them to the descriptor of a TCP socket that was just opened and is to be thrown away when this throws: one
 * system call each. What this platform or kernel does not have is an error here.
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

/** @throws ERR_SOCKET_TUNER_UNSUPPORTED when there is a setting for an option that this platform does not have */
export function requirePresent(missing: PreparedSettings['missing']): void {
  const [first] = missing
  if (first !== undefined) throw absentOption(first.option)
}

function refusal(fd: number, { operation, errno, notRestored }: BatchFailure): SocketOptionError {
  const error = kernelFailure('setsockopt', operation.option, fd, errno, operation.requested)
  if (notRestored.length > 0) {
    error.message += `; left as set, since it could not be put back: ${notRestored.join(', ')}`
    Object.defineProperty(error, 'notRestored', { value: notRestored, enumerable: true })
  }
  return error
}

function isGuarded({ option }: Operation): boolean {
  return option.guarded
}

/**
 * An old value is needed only when an operation after it can be refused: one whose row says so, or
 * the first of its level, which is refused on a socket of another protocol.
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

/** Warns before anything is changed; returns what some of the options will not do, by their names. */
function guard(fd: number, operations: readonly Operation[]): Map<string, Shortcoming> {
  const shortcomings = new Map<string, Shortcoming>()
  const phase = operations.some(({ option }) => needsPhase(option.row)) ? phaseOf(fd) : 'unknown'
  for (const { option, encoded } of operations) {
    if (option.row.kind === 'linger') warnListenerLinger(option, fd, encoded as Uint8Array)
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
  const why = option.row.rewritten ?? 'the kernel keeps another value than the one set'
  return { status: 'adjusted', requested, value, why }
}

/** The requested value in the form in which it would read back unchanged. */
function normalized({ codec }: PresentOption, encoded: number | Uint8Array): unknown {
  if (codec.carries === 'int') return codec.decode(encoded as number)
  return codec.decode(encoded as Uint8Array)
}
