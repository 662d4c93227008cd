import { isUint8Array } from 'node:util/types'
import { ArgumentTypeError, ArgumentValueError, checkWhole } from '../../errors'
import type { Bytes } from '../../spec'
import type { BytesCodec } from '../codec'

/** A string that ends with a null byte in the kernel. */
export const string: BytesCodec<string> = {
  carries: 'bytes',
  type: 'string',
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

export const bytes: BytesCodec<Bytes> = {
  carries: 'bytes',
  type: 'Uint8Array',
  encode: (option, row, value) => {
    if (!isUint8Array(value))
      throw new ArgumentTypeError(
        option,
        'an instance of Uint8Array',
        value,
        row.secret === true ? `a value of type ${typeof value}` : undefined,
      )
    // Copied, because another thread may change shared memory, and the buffer may be detached.
    const copy = new Uint8Array(value)
    const [min, max] = row.length ?? [0, 4096]
    checkWhole(`${option}.length`, copy.length, min, max)
    return copy
  },
  decode: (value) => Buffer.from(value),
  capacity: (row) => row.length?.[1] ?? 4096,
}
