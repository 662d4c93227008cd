import { SocketOptionError, checkWhole } from '../errors'
import type { WarningCode } from '../warnings'

/** The limits of a value in a row of the catalogue. */
export interface ValueLimits {
  /** The smallest and the largest number that the kernel accepts (int, u32, timeval, interfaceIndex). */
  range?: readonly [min: number, max: number]
  /** Numbers outside `range` with a special meaning, such as -1 for "off". */
  also?: readonly number[]
  /** The smallest and the largest length in bytes (string, bytes). */
  length?: readonly [min: number, max: number]
  /** Never read back, printed or included in an error. */
  secret?: true
}

interface CodecOf<Input> {
  /** The TypeScript type of the value in lib/options/settings.ts. */
  readonly type: string
  /** The type of the value that is set, if it differs from the type that is read. */
  readonly inputType?: string
  /** The notation of docs/options.md, if it differs from the type. */
  readonly shown?: string
  /** For the type only; never set. Ties the codec to `Input`. */
  readonly takes?: Input
  /** Converts a JSON value, for types that JSON cannot express. */
  fromJson?(value: unknown): unknown
}

/** The codec of an option whose value is one 32-bit integer. */
export interface IntCodec<Value, Input = Value> extends CodecOf<Input> {
  readonly carries: 'int'
  encode(option: string, row: ValueLimits, value: unknown): number
  decode(value: number): Value
}

/** The codec of any other option. */
export interface BytesCodec<Value, Input = Value> extends CodecOf<Input> {
  /** `program`: bytes that the kernel reads through a struct sock_fprog. */
  readonly carries: 'bytes' | 'program'
  encode(option: string, row: ValueLimits, value: unknown): Uint8Array
  /** `bytes` is a reused buffer that the kernel filled: copy what the result keeps. */
  decode(bytes: Uint8Array): Value
  /** The largest number of bytes that a read returns. */
  capacity(row: ValueLimits): number
  /** The warning for setting this value on a listening socket, whose connections inherit it. */
  inheritedHazard?(encoded: Uint8Array): InheritedHazard | undefined
}

interface InheritedHazard {
  readonly code: WarningCode
  readonly message: string
}

/**
 * Converts one kind of value to and from the layout of the kernel. `encode` accepts any JavaScript value, reads each
 * part of it once, and either encodes it without loss or throws before anything is changed.
 */
export type Codec = IntCodec<unknown> | BytesCodec<unknown>

export const U32_MAX = 0xffff_ffff

/** Checks a whole number against the row's range, or against `min` and `max` if the row has none. */
export function numberIn(
  option: string,
  row: ValueLimits,
  value: unknown,
  min: number,
  max: number,
): number {
  if (typeof value === 'number' && row.also?.includes(value) === true) return value
  checkWhole(option, value, row.range?.[0] ?? min, row.range?.[1] ?? max)
  return value
}

/** Reads a field of an object once; it must be a whole number from 0 to `max`. */
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

/** The `encode` of an option that can only be read. */
export function readOnly(option: string): never {
  throw new SocketOptionError(`${option} cannot be set`, {
    code: 'ERR_SOCKET_TUNER_NOT_WRITABLE',
    option,
  })
}

/** The `decode` of an option that can only be set. */
export function unreadable(): never {
  throw new SocketOptionError('The value cannot be read', { code: 'ERR_SOCKET_TUNER_NOT_READABLE' })
}
