import { ArgumentRangeError, ArgumentTypeError, checkBoolean } from '../../errors'
import { LITTLE, viewOf } from '../../kernel/bytes'
import { MAX_INT32 } from '../../spec'
import { U32_MAX, numberIn, type BytesCodec, type IntCodec } from '../codec'

const U64_MAX = 0xffff_ffff_ffff_ffffn

export const bool: IntCodec<boolean> = {
  carries: 'int',
  type: 'boolean',
  encode: (option, _row, value) => {
    checkBoolean(option, value)
    return value ? 1 : 0
  },
  decode: (value) => value !== 0,
}

export const int: IntCodec<number> = {
  carries: 'int',
  type: 'number',
  encode: (option, row, value) => numberIn(option, row, value, -(2 ** 31), MAX_INT32),
  decode: (value) => value,
}

export const u32: IntCodec<number> = {
  carries: 'int',
  type: 'number',
  encode: (option, row, value) => numberIn(option, row, value, 0, U32_MAX) | 0,
  decode: (value) => value >>> 0,
}

/** The kernel stores it in network byte order. */
export const interfaceIndex: IntCodec<number> = {
  carries: 'int',
  type: 'number',
  encode: (option, row, value) => networkOrder(numberIn(option, row, value, 0, MAX_INT32)),
  decode: (value) => networkOrder(value),
}

function networkOrder(value: number): number {
  if (!LITTLE) return value
  return (value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)
}

export const u64: BytesCodec<bigint> = {
  carries: 'bytes',
  type: 'bigint',
  encode: (option, _row, value) => {
    if (typeof value !== 'bigint') throw new ArgumentTypeError(option, 'of type bigint', value)
    if (value < 0n || value > U64_MAX)
      throw new ArgumentRangeError(option, `>= 0n && <= ${String(U64_MAX)}n`, value)
    const result = new Uint8Array(8)
    viewOf(result).setBigUint64(0, value, LITTLE)
    return result
  },
  decode: (value) => {
    const view = viewOf(value)
    if (value.length >= 8) return view.getBigUint64(0, LITTLE)
    return value.length >= 4 ? BigInt(view.getUint32(0, LITTLE)) : 0n
  },
  capacity: () => 8,
  fromJson: (value) => (Number.isSafeInteger(value) ? BigInt(value as number) : value),
}
