/**
 * The value kinds: what each looks like in JavaScript and how it is laid out for the kernel.
 *
 * A codec is either of integers, which travel as one 32-bit number, or of bytes. `encode` takes
 * whatever JavaScript passes in, reads each part of it once, and either lays it out without loss
 * or throws before anything is changed.
 */
import { isUint8Array } from 'node:util/types'
import {
  ArgumentRangeError,
  ArgumentTypeError,
  ArgumentValueError,
  checkBoolean,
  checkObject,
  checkWhole,
} from '../errors'
import {
  U32_MAX,
  numberIn,
  wholeField,
  wordsOf,
  type BytesCodec,
  type Codec,
  type IntCodec,
} from './codec'
import { LITTLE, viewOf } from '../kernel/bytes'
import type { OptionKind } from './row'
import {
  credentials,
  filter,
  linger,
  md5Key,
  memoryInfo,
  socketAddress,
  timeval,
  transmitTime,
} from './structs'
import type { PortRange, ReadValues } from './values'

const U64_MAX = 0xffff_ffff_ffff_ffffn
const MAX_PORT = 65535

const bool: IntCodec<boolean> = {
  carries: 'int',
  encode: (option, _row, value) => {
    checkBoolean(option, value)
    return value ? 1 : 0
  },
  decode: (value) => value !== 0,
}

const int: IntCodec<number> = {
  carries: 'int',
  encode: (option, row, value) => numberIn(option, row, value, -(2 ** 31), 2 ** 31 - 1),
  decode: (value) => value,
}

const u32: IntCodec<number> = {
  carries: 'int',
  encode: (option, row, value) => numberIn(option, row, value, 0, U32_MAX) | 0,
  decode: (value) => value >>> 0,
}

/** Kept in network order by the kernel. */
const interfaceIndex: IntCodec<number> = {
  carries: 'int',
  encode: (option, row, value) => networkOrder(numberIn(option, row, value, 0, 2 ** 31 - 1)),
  decode: (value) => networkOrder(value),
}

function networkOrder(value: number): number {
  if (!LITTLE) return value
  return (value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)
}

/** The lower end in the low half, the upper end in the high half (ip(7), IP_LOCAL_PORT_RANGE). */
const portRange: IntCodec<PortRange> = {
  carries: 'int',
  encode: (option, _row, value) => {
    checkObject(option, value)
    const min = wholeField(option, value, 'min', MAX_PORT)
    const max = wholeField(option, value, 'max', MAX_PORT)
    if (min > max)
      throw new ArgumentRangeError(`${option}.min`, `<= ${option}.max (${String(max)})`, min)
    return min | (max << 16)
  },
  decode: (value) => ({ min: value & 0xffff, max: value >>> 16 }),
}

const u64: BytesCodec<bigint> = {
  carries: 'bytes',
  encode: (option, _row, value) => {
    if (typeof value !== 'bigint') throw new ArgumentTypeError(option, 'of type bigint', value)
    if (value < 0n || value > U64_MAX)
      throw new ArgumentRangeError(option, `>= 0n && <= ${String(U64_MAX)}n`, value)
    const result = new Uint8Array(8)
    viewOf(result).setBigUint64(0, value, LITTLE)
    return result
  },
  decode: (value) =>
    value.length < 8 ? BigInt(wordsOf(value, 1)[0] ?? 0) : viewOf(value).getBigUint64(0, LITTLE),
  capacity: () => 8,
}

const string: BytesCodec<string> = {
  carries: 'bytes',
  encode: (option, row, value) => {
    if (typeof value !== 'string') throw new ArgumentTypeError(option, 'of type string', value)
    if (value.includes('\0'))
      throw new ArgumentValueError(option, 'must be a string without null bytes', value)
    const [min, max] = row.length ?? [0, 255]
    checkWhole(`${option}.length`, Buffer.byteLength(value), min, max)
    return Buffer.from(`${value}\0`)
  },
  decode: (value) => {
    const end = value.indexOf(0)
    return Buffer.from(end === -1 ? value : value.subarray(0, end)).toString()
  },
  capacity: (row) => (row.length?.[1] ?? 255) + 1,
}

const bytes: BytesCodec<Uint8Array> = {
  carries: 'bytes',
  encode: (option, row, value) => {
    if (!isUint8Array(value))
      throw new ArgumentTypeError(
        option,
        'an instance of Uint8Array',
        value,
        row.secret === true ? `a value of type ${typeof value}` : undefined,
      )
    // Copied, so that it does not matter when another thread shares the memory or it is detached.
    const copy = new Uint8Array(value)
    const [min, max] = row.length ?? [0, 4096]
    checkWhole(`${option}.length`, copy.length, min, max)
    return copy
  },
  decode: (value) => Buffer.from(value),
  capacity: (row) => row.length?.[1] ?? 4096,
}

export const codecs: { readonly [K in OptionKind]: Codec<ReadValues[K]> } = {
  bool,
  int,
  u32,
  u64,
  string,
  bytes,
  linger,
  timeval,
  portRange,
  interfaceIndex,
  credentials,
  memoryInfo,
  transmitTime,
  socketAddress,
  md5Key,
  filter,
}
