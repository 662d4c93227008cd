import { checkWhole } from '../errors'
import { LITTLE, viewOf } from '../kernel/bytes'
import type { OptionRow } from './row'

/** Lays an integer option out: it travels as one 32-bit number. */
export interface IntCodec<Value> {
  readonly carries: 'int'
  encode(option: string, row: OptionRow, value: unknown): number
  decode(value: number): Value
}

/** Lays out an option of any other form. */
export interface BytesCodec<Value> {
  /** `program`: bytes that the kernel wants behind a struct sock_fprog. */
  readonly carries: 'bytes' | 'program'
  encode(option: string, row: OptionRow, value: unknown): Uint8Array
  /** `bytes` holds what the kernel wrote and is reused: a codec copies what it keeps. */
  decode(bytes: Uint8Array): Value
  /** The most bytes that a read gives. */
  capacity(row: OptionRow): number
}

export type Codec<Value = unknown> = IntCodec<Value> | BytesCodec<Value>

export const U32_MAX = 0xffff_ffff

/** Bytes of some 32-bit words. */
export function words(...values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4 * values.length)
  const view = viewOf(bytes)
  values.forEach((value, index) => {
    view.setUint32(4 * index, value, LITTLE)
  })
  return bytes
}

/** The 32-bit words in some bytes. The kernel may return fewer bytes than a newer or older one would: what is absent is 0. */
export function wordsOf(bytes: Uint8Array, count: number): number[] {
  const view = viewOf(bytes)
  return Array.from({ length: count }, (_, index) =>
    4 * index + 4 <= bytes.length ? view.getUint32(4 * index, LITTLE) : 0,
  )
}

/** A whole number within the row's range, or else within `min` and `max`. */
export function numberIn(
  option: string,
  row: OptionRow,
  value: unknown,
  min: number,
  max: number,
): number {
  if (typeof value === 'number' && row.also?.includes(value) === true) return value
  checkWhole(option, value, row.range?.[0] ?? min, row.range?.[1] ?? max)
  return value
}

/** A whole number from 0 to `max` that a field of an object holds, read once. */
export function wholeField(
  option: string,
  object: Record<string, unknown>,
  field: string,
  max: number,
): number {
  const value = object[field]
  checkWhole(`${option}.${field}`, value, 0, max)
  return value
}
