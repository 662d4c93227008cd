/** Builds and runs the program of native/kernel/batch.h, which sets many options in one call, and reads its results. */
import { native } from '../kernel/binding'
import { batchFlags, batchSlots } from '../kernel/layouts'
import type { PresentOption } from './option'

/** One option to set. */
export interface Operation {
  readonly option: PresentOption
  readonly encoded: number | Uint8Array
  /** The value as the caller gave it. */
  readonly requested: unknown
  /** Read the old value first, to restore it if a later operation is refused. */
  save: boolean
  /** Its row in the program of the current run. */
  row: number
  /** The number of companions in the rows before it. */
  companions: number
}

/** The operation at which a run failed. The operations before it have been undone. */
export class BatchFailure {
  readonly operation: Operation
  /** The errno, negated. */
  readonly errno: number
  /** Options that were set and could not be restored. */
  readonly notRestored: readonly string[]

  constructor(operation: Operation, errno: number, notRestored: readonly string[]) {
    this.operation = operation
    this.errno = errno
    this.notRestored = notRestored
  }
}

/** Stands for the value of an option that the kernel lacks. */
export const UNSUPPORTED = Symbol('unsupported')

// V8 folds constants of this module, but loads imported ones on each access.
const flag = batchFlags
const slot = batchSlots

const NO_COMPANIONS: readonly PresentOption[] = []

// Reused by all calls, so that a run allocates nothing. No caller's code, which could start another run,
// can execute between filling these buffers and reading the results.
let program = new Int32Array(32 * slot.slots)
let data = new Uint8Array(0)

/** Returns the options that the kernel changes as a side effect of setting this one. */
type CompanionsOf = (option: PresentOption) => readonly PresentOption[]

/**
 * Runs the operations in order. For an operation that may have to be undone, its companions are saved too.
 *
 * @returns the decoded value read back for each operation: undefined if the option cannot be read,
 *   {@link UNSUPPORTED} if the kernel lacks it
 */
export function runBatch(
  fd: number,
  operations: readonly Operation[],
  companionsOf: CompanionsOf,
): BatchFailure | readonly unknown[] {
  return run(fd, operations, companionsOf) ?? operations.map(resultOf)
}

/**
 * Runs the operations on a new descriptor that the caller closes on failure: one system call each, nothing
 * saved and nothing read back. An option that the kernel lacks is a failure.
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
    for (const companion of companions) putHeader(row++, companion, flag.save)
    operation.row = row++
    operation.companions = companions.length
    end = put(operation, end, (save ? flag.save : 0) | (fresh ? 0 : readBack(operation)))
  }
  if (row === 0) return undefined
  const done = native.applyBatch(fd, program, data, row)
  if (done < 0) throw new RangeError(`The batch was refused (${String(done)})`)
  return done < row ? failureAt(done, operations) : undefined
}

/** Returns 0, or the negated errno if the kernel lacks the option. */
function statusOf({ row }: Operation): number {
  return read(row, slot.status)
}

function resultOf(operation: Operation): unknown {
  const { row, option } = operation
  if (statusOf(operation) < 0) return UNSUPPORTED
  const length = read(row, slot.readStatus)
  if (!option.readable || length < 0) return undefined
  const { codec } = option
  if (codec.carries === 'int') return codec.decode(read(row, slot.readValue))
  const out = read(row, slot.out)
  return codec.decode(data.subarray(out, out + length))
}

function readBack({ option }: Operation): number {
  return option.readable ? flag.readBack : 0
}

/** Writes an operation into the program, and its bytes at `end` of the data; returns the new end. */
function put({ row, option, encoded }: Operation, end: number, flags: number): number {
  const base = putHeader(row, option, flag.set | flags | carriage(option))
  if (typeof encoded === 'number') {
    program[base + slot.value] = encoded
    return end
  }
  const { codec } = option
  const capacity = codec.carries === 'int' || !option.readable ? 0 : codec.capacity(option.row)
  reserveBytes(end + encoded.length + capacity)
  data.set(encoded, end)
  program[base + slot.value] = end
  program[base + slot.length] = encoded.length
  program[base + slot.out] = end + encoded.length
  program[base + slot.outCapacity] = capacity
  return end + encoded.length + capacity
}

function putHeader(row: number, option: PresentOption, flags: number): number {
  const base = row * slot.slots
  const { doubled, unset } = option.row
  program[base + slot.level] = option.level
  program[base + slot.name] = option.number
  program[base + slot.flags] =
    flags | (doubled === true ? flag.halve : 0) | (unset === undefined ? 0 : flag.unset)
  program[base + slot.value] = 0
  program[base + slot.length] = unset === undefined ? 0 : unset[0]
  program[base + slot.out] = unset === undefined ? 0 : unset[1]
  program[base + slot.outCapacity] = 0
  return base
}

function carriage({ codec }: PresentOption): number {
  return codec.carries === 'int' ? 0 : codec.carries === 'bytes' ? flag.bytes : flag.program
}

function failureAt(failed: number, operations: readonly Operation[]): BatchFailure {
  const index = operations.findIndex(({ row }) => row === failed)
  const operation = operations[index]
  if (operation === undefined) throw new RangeError(`No operation is at ${String(failed)}`)
  const notRestored = operations
    .slice(0, index)
    .filter((earlier) => !isRestored(earlier))
    .map(({ option }) => option.name)
  return new BatchFailure(operation, read(failed, slot.status), notRestored)
}

/** An option that cannot be read, for example SO_RCVBUFFORCE, is restored through its companions. */
function isRestored({ row, companions, option }: Operation): boolean {
  for (let companion = row - companions; companion < row; companion++) {
    if (read(companion, slot.restored) < 0) return false
  }
  return read(row, slot.restored) >= 0 || (!option.readable && companions > 0)
}

function read(row: number, index: number): number {
  return program[row * slot.slots + index] ?? 0
}

function reserve(rows: number): void {
  if (program.length >= rows * slot.slots) return
  const larger = new Int32Array(2 * rows * slot.slots)
  larger.set(program)
  program = larger
}

function reserveBytes(length: number): void {
  if (data.length >= length) return
  const larger = new Uint8Array(Math.max(1024, 2 * length))
  larger.set(data)
  data = larger
}
