import { isDeepStrictEqual } from 'node:util'
import { checkObject } from '../errors'
import { descriptorOf, type Target } from '../target'
import { runBatch, type Operation, type OperationResult } from './batch'
import { absence, kernelFailure } from './failure'
import { lateness, phaseOf, warnLate, warnListenerLinger } from './hazards'
import {
  isPresent,
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
  /** This platform, kernel or kind of socket does not have it; nothing was changed. */
  | {
      readonly status: 'unsupported'
      readonly requested: OptionInput<N> | undefined
      readonly why: string
    }

type Read<N extends WritableOption> = N extends ReadableOption ? OptionValue<N> : never

/** What came of each setting given to tune(). */
export type TuneReport<S extends Settings = Settings> = {
  readonly [N in keyof S & WritableOption]: OptionOutcome<N>
}

/** Makes a setting that is no option a compile error also where the type of the object is inferred. */
export type KnownSettings<S> = Readonly<Record<Exclude<keyof S, WritableOption>, never>>

/** Validated settings, ready for any number of sockets. */
export interface PreparedSettings {
  readonly settings: Readonly<Record<string, unknown>>
  readonly operations: readonly Operation[]
  readonly missing: readonly Option[]
}

/**
 * Sets many options at once: checks all values before the first system call, applies them in one
 * native call in the order written, reads each back, and puts everything back when one is refused.
 * Settings that are undefined are left out.
 *
 * Takes two system calls per option; one more where a later one could be refused.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE, ERR_SOCKET_TUNER_UNKNOWN_OPTION,
 *   ERR_SOCKET_TUNER_WRONG_SOCKET, or the errno's name; `error.notRestored` lists what could not be put back
 */
export function tune<const S extends Settings>(
  target: Target,
  settings: S & KnownSettings<S>,
): TuneReport<S> {
  const prepared = prepareSettings(settings)
  return applySettings(descriptorOf(target), prepared)
}

/** Checks settings without a socket. */
export function prepareSettings(settings: Settings): PreparedSettings {
  checkObject('settings', settings)
  const values: Record<string, unknown> = {}
  const operations: Operation[] = []
  const missing: Option[] = []
  for (const name of Object.keys(settings)) {
    const value = (settings as Record<string, unknown>)[name]
    if (value === undefined) continue
    const option = writableOption(name)
    const encoded = option.codec.encode(name, option.row, value)
    if (option.row.secret !== true) values[name] = value
    if (isPresent(option)) operations.push({ option, encoded, save: false })
    else missing.push(option)
  }
  markSaves(operations)
  return { settings: values, operations, missing }
}

/** Applies settings that prepareSettings() accepted. */
export function applySettings(
  fd: number,
  { settings, operations, missing }: PreparedSettings,
): TuneReport {
  const late = operations.some(({ option }) => option.guarded) ? guard(fd, operations) : undefined
  const batch = runBatch(fd, operations, companionsOf)
  if (batch.failed !== undefined) {
    const { option } = operations[batch.failed] ?? {}
    if (option === undefined) throw new RangeError('The batch failed at no operation')
    const error = kernelFailure('setsockopt', option, fd, batch.errno, settings[option.name])
    if (batch.notRestored.length > 0) {
      error.message += `; left as set, since it could not be put back: ${batch.notRestored.join(', ')}`
      Object.defineProperty(error, 'notRestored', { value: batch.notRestored, enumerable: true })
    }
    throw error
  }
  const report: Record<string, unknown> = {}
  operations.forEach((operation, index) => {
    const { name } = operation.option
    report[name] = outcome(operation, batch.results[index], settings[name], late?.get(name))
  })
  for (const option of missing) {
    report[option.name] = {
      status: 'unsupported',
      requested: settings[option.name],
      why: absence(option),
    }
  }
  return report as TuneReport
}

/**
 * An old value is needed only when an operation after it can be refused: one whose row says so, or
 * the first of its level, which is refused on a socket of another protocol.
 */
function markSaves(operations: Operation[]): void {
  const firstOfLevel = new Set<Operation>()
  const levels = new Set<string>(['SOL_SOCKET'])
  for (const operation of operations) {
    const { level } = operation.option.row
    if (!levels.has(level)) firstOfLevel.add(operation)
    levels.add(level)
  }
  let refusable = false
  for (const operation of operations.toReversed()) {
    operation.save = refusable
    const { row } = operation.option
    refusable ||=
      row.privilege !== undefined || row.refused !== undefined || firstOfLevel.has(operation)
  }
}

function companionsOf({ row }: PresentOption): readonly PresentOption[] {
  return row.alsoChanges?.map((name) => optionOf(name)).filter(isPresent) ?? []
}

/** Warns before anything is changed; returns why each late option is late. */
function guard(fd: number, operations: readonly Operation[]): Map<string, string> {
  const late = new Map<string, string>()
  const phase = operations.some(({ option }) => option.row.when !== 'any') ? phaseOf(fd) : 'unknown'
  for (const { option, encoded } of operations) {
    if (option.row.kind === 'linger') warnListenerLinger(option, fd, encoded as Uint8Array)
    const why = lateness(option, phase)
    if (why === undefined) continue
    warnLate(option, why)
    late.set(option.name, why)
  }
  return late
}

function outcome(
  { option, encoded }: Operation,
  result: OperationResult | undefined,
  requested: unknown,
  late: string | undefined,
): unknown {
  const { status = 0, value } = result ?? {}
  if (status < 0) return { status: 'unsupported', requested, why: absence(option) }
  if (late !== undefined) return { status: 'tooLate', requested, value, why: late }
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
