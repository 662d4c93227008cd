/** Builds, runs and reads the program of native/batch.cc: many options on one socket in one call. */
import { native } from '../binding'
import type { PresentOption } from './option'

/** One option to be set, and what came of it. */
export interface Operation {
  readonly option: PresentOption
  readonly encoded: number | Uint8Array
  /** Read its old value first: something after it may fail. */
  save: boolean
}

/** What came of one operation. */
export interface OperationResult {
  /** 0, or the negated errno of an option that the kernel does not have. */
  readonly status: number
  /** What was read back, decoded; undefined when the option cannot be read. */
  readonly value: unknown
}

export type BatchResult =
  | { readonly failed: undefined; readonly results: readonly OperationResult[] }
  | { readonly failed: number; readonly errno: number; readonly notRestored: readonly string[] }

// The slots of one operation, as in native/batch.cc.
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

const carriage = { int: 0, bytes: BYTES, program: PROGRAM } as const

const NO_DATA = new Uint8Array(0)

// Kept between calls, so that tuning sockets one after the other allocates none of it again.
let program = new Int32Array(32 * SLOTS)

/**
 * Runs the operations in order, each of which may bring companions: options that the kernel changes
 * along with it, saved so that they can be put back too.
 */
export function runBatch(
  fd: number,
  operations: readonly Operation[],
  companionsOf: (option: PresentOption) => readonly PresentOption[],
): BatchResult {
  const layout = new Layout(operations)
  const rows: number[] = []
  let count = 0
  for (const operation of operations) {
    if (operation.save) {
      for (const companion of companionsOf(operation.option)) layout.putSaved(count++, companion)
    }
    rows.push(count)
    layout.put(count++, operation)
  }
  const failed = native.applyBatch(fd, program, layout.data, count)
  if (failed < 0)
    return {
      failed: undefined,
      results: operations.map((operation, index) => layout.result(at(rows, index), operation)),
    }
  const index = rows.indexOf(failed)
  return {
    failed: index,
    errno: slot(failed, STATUS),
    notRestored: operations
      .slice(0, index)
      .filter(
        ({ option }, before) =>
          slot(at(rows, before), RESTORED) < 0 && !restoredByCompanions(option),
      )
      .map(({ option }) => option.name),
  }
}

/** An option that cannot be read, as SO_RCVBUFFORCE, is put back by what it changes. */
function restoredByCompanions({ readable, row }: PresentOption): boolean {
  return !readable && row.alsoChanges !== undefined
}

/** Where each operation's bytes lie beside the program. */
class Layout {
  readonly data: Uint8Array
  #end = 0

  constructor(operations: readonly Operation[]) {
    let size = 0
    let slots = 0
    for (const { option, encoded } of operations) {
      slots += 1 + (option.row.alsoChanges?.length ?? 0)
      if (typeof encoded !== 'number') size += encoded.length + capacityOf(option)
    }
    if (program.length < slots * SLOTS) program = new Int32Array(slots * SLOTS)
    this.data = size === 0 ? NO_DATA : new Uint8Array(size)
  }

  put(row: number, { option, encoded, save }: Operation): void {
    const base = this.#header(
      row,
      option,
      SET | (save ? SAVE : 0) | (option.readable ? READ_BACK : 0) | carriage[option.codec.carries],
    )
    if (typeof encoded === 'number') {
      program[base + VALUE] = encoded
      return
    }
    this.data.set(encoded, this.#end)
    program[base + VALUE] = this.#end
    program[base + LENGTH] = encoded.length
    program[base + OUT] = this.#end + encoded.length
    program[base + OUT_CAPACITY] = capacityOf(option)
    this.#end += encoded.length + capacityOf(option)
  }

  putSaved(row: number, option: PresentOption): void {
    this.#header(row, option, SAVE)
  }

  result(row: number, { option }: Operation): OperationResult {
    const status = slot(row, STATUS)
    const length = slot(row, READ_STATUS)
    if (status < 0 || !option.readable || length < 0) return { status, value: undefined }
    const { codec } = option
    if (codec.carries === 'int') return { status, value: codec.decode(slot(row, READ_VALUE)) }
    const out = slot(row, OUT)
    return { status, value: codec.decode(this.data.subarray(out, out + length)) }
  }

  #header(
    row: number,
    { level, number, row: { doubled, unset } }: PresentOption,
    flags: number,
  ): number {
    const base = row * SLOTS
    program[base + LEVEL] = level
    program[base + NAME] = number
    program[base + FLAGS] =
      flags | (doubled === true ? HALVE : 0) | (unset === undefined ? 0 : UNSET)
    program[base + VALUE] = 0
    program[base + LENGTH] = unset?.[0] ?? 0
    program[base + OUT] = unset?.[1] ?? 0
    program[base + OUT_CAPACITY] = 0
    return base
  }
}

function capacityOf({ codec, row, readable }: PresentOption): number {
  return codec.carries === 'int' || !readable ? 0 : codec.capacity(row)
}

function slot(row: number, index: number): number {
  return program[row * SLOTS + index] ?? 0
}

function at(rows: readonly number[], index: number): number {
  return rows[index] ?? 0
}
