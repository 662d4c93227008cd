/** Builds, runs and reads the program of native/kernel/batch.h: many options on one socket in one call. */
import { native } from '../kernel/binding'
import type { PresentOption } from './option'

/** One option to be set. */
export interface Operation {
  readonly option: PresentOption
  readonly encoded: number | Uint8Array
  /** The value as the caller gave it. */
  readonly requested: unknown
  /** Read its old value first: something after it may be refused. */
  save: boolean
  /** Where it stands in the program of the present run. */
  row: number
  /** How many companions stand before it. */
  companions: number
}

/** The operation at which a run failed; what went before it has been put back. */
export class BatchFailure {
  readonly operation: Operation
  /** The errno, negated. */
  readonly errno: number
  /** Options that were set and could not be put back. */
  readonly notRestored: readonly string[]

  constructor(operation: Operation, errno: number, notRestored: readonly string[]) {
    this.operation = operation
    this.errno = errno
    this.notRestored = notRestored
  }
}

/** In place of the value of an option that the kernel does not have. */
export const UNSUPPORTED = Symbol('unsupported')

// The slots of one operation, as in native/kernel/batch.h.
const LEVEL = 0
const NAME = 1
const FLAGS = 2
const VALUE = 3
const LENGTH = 4
const OUT = 5
const OUT_CAPACITY = 6
const STATUS = 7
const READ_STATUS = 8
const READ_VALUE = 9
const RESTORED = 10
const SLOTS = 11

const SET = 1
const SAVE = 2
const READ_BACK = 4
const BYTES = 8
const PROGRAM = 16
const HALVE = 32
const UNSET = 64

const NO_COMPANIONS: readonly PresentOption[] = []

// Kept between calls, so that tuning sockets one after the other allocates nothing here. Nothing that
// can run a caller's code, and so another run, comes between filling them and reading the results.
let program = new Int32Array(32 * SLOTS)
let data = new Uint8Array(0)

/** Options that the kernel changes along with one. */
export type CompanionsOf = (option: PresentOption) => readonly PresentOption[]

/**
 * Runs the operations in order. One that may have to be put back brings its companions, saved too.
 *
 * @returns of each operation what was read back, decoded: undefined for an option that cannot be read,
 *   {@link UNSUPPORTED} for one that the kernel does not have
 */
export function runBatch(
  fd: number,
  operations: readonly Operation[],
  companionsOf: CompanionsOf,
): BatchFailure | readonly unknown[] {
  return run(fd, operations, companionsOf) ?? operations.map(resultOf)
}

/**
 * Runs them on a descriptor that nobody has seen yet and that is thrown away on failure: one system
 * call each, nothing saved and nothing read back. An option that the kernel does not have is a failure.
 */
export function runBatchOnFresh(
  fd: number,
  operations: readonly Operation[],
): BatchFailure | undefined {
  const failure = run(fd, operations, undefined)
  if (failure !== undefined) return failure
  const absent = operations.find((operation) => statusOf(operation) < 0)
  return absent === undefined ? undefined : new BatchFailure(absent, statusOf(absent), [])
}

function run(
  fd: number,
  operations: readonly Operation[],
  companionsOf: CompanionsOf | undefined,
): BatchFailure | undefined {
  const fresh = companionsOf === undefined
  let row = 0
  let end = 0
  for (const operation of operations) {
    const save = operation.save && !fresh
    const companions = save ? companionsOf(operation.option) : NO_COMPANIONS
    reserve(row + companions.length + 1)
    for (const companion of companions) putHeader(row++, companion, SAVE)
    operation.row = row++
    operation.companions = companions.length
    end = put(operation, end, (save ? SAVE : 0) | (fresh ? 0 : readBack(operation)))
  }
  if (row === 0) return undefined
  const done = native.applyBatch(fd, program, data, row)
  if (done < 0) throw new RangeError(`The batch was refused (${String(done)})`)
  return done < row ? failureAt(done, operations) : undefined
}

/** 0, or the negated errno of an option that the kernel does not have. */
function statusOf({ row }: Operation): number {
  return slot(row, STATUS)
}

function resultOf(operation: Operation): unknown {
  const { row, option } = operation
  if (statusOf(operation) < 0) return UNSUPPORTED
  const length = slot(row, READ_STATUS)
  if (!option.readable || length < 0) return undefined
  const { codec } = option
  if (codec.carries === 'int') return codec.decode(slot(row, READ_VALUE))
  const out = slot(row, OUT)
  return codec.decode(data.subarray(out, out + length))
}

function readBack({ option }: Operation): number {
  return option.readable ? READ_BACK : 0
}

/** Writes an operation; returns where its bytes end. */
function put({ row, option, encoded }: Operation, end: number, flags: number): number {
  const base = putHeader(row, option, SET | flags | carriage(option))
  if (typeof encoded === 'number') {
    program[base + VALUE] = encoded
    return end
  }
  const { codec } = option
  const capacity = codec.carries === 'int' || !option.readable ? 0 : codec.capacity(option.row)
  reserveBytes(end + encoded.length + capacity)
  data.set(encoded, end)
  program[base + VALUE] = end
  program[base + LENGTH] = encoded.length
  program[base + OUT] = end + encoded.length
  program[base + OUT_CAPACITY] = capacity
  return end + encoded.length + capacity
}

function putHeader(row: number, option: PresentOption, flags: number): number {
  const base = row * SLOTS
  const { doubled, unset } = option.row
  program[base + LEVEL] = option.level
  program[base + NAME] = option.number
  program[base + FLAGS] = flags | (doubled === true ? HALVE : 0) | (unset === undefined ? 0 : UNSET)
  program[base + VALUE] = 0
  program[base + LENGTH] = unset === undefined ? 0 : unset[0]
  program[base + OUT] = unset === undefined ? 0 : unset[1]
  program[base + OUT_CAPACITY] = 0
  return base
}

function carriage({ codec }: PresentOption): number {
  return codec.carries === 'int' ? 0 : codec.carries === 'bytes' ? BYTES : PROGRAM
}

function failureAt(failed: number, operations: readonly Operation[]): BatchFailure {
  const index = operations.findIndex(({ row }) => row === failed)
  const operation = operations[index]
  if (operation === undefined) throw new RangeError(`No operation is at ${String(failed)}`)
  const notRestored = operations
    .slice(0, index)
    .filter((earlier) => !isRestored(earlier))
    .map(({ option }) => option.name)
  return new BatchFailure(operation, slot(failed, STATUS), notRestored)
}

/** An option that cannot be read, as SO_RCVBUFFORCE, is put back by way of what it changes. */
function isRestored({ row, companions, option }: Operation): boolean {
  for (let companion = row - companions; companion < row; companion++) {
    if (slot(companion, RESTORED) < 0) return false
  }
  return slot(row, RESTORED) >= 0 || (!option.readable && companions > 0)
}

function slot(row: number, index: number): number {
  return program[row * SLOTS + index] ?? 0
}

function reserve(rows: number): void {
  if (program.length >= rows * SLOTS) return
  const larger = new Int32Array(2 * rows * SLOTS)
  larger.set(program)
  program = larger
}

function reserveBytes(length: number): void {
  if (data.length >= length) return
  const larger = new Uint8Array(Math.max(1024, 2 * length))
  larger.set(data)
  data = larger
}
