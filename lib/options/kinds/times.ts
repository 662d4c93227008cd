import { checkObject } from '../../errors'
import { native } from '../../kernel/binding'
import { LITTLE, Struct, viewOf } from '../../kernel/bytes'
import { transmitTimeLayout } from '../../kernel/layouts'
import { MAX_INT32 } from '../../spec'
import { U32_MAX, numberIn, wholeField, type BytesCodec } from '../codec'

/** SO_TXTIME: the clock of the transmit times (a clockid_t) and SOF_TXTIME_* flags. */
export interface TransmitTime {
  clockId: number
  flags: number
}

/** Converts milliseconds to struct timeval: two words of the platform's width, seconds and microseconds. */
export const timeval: BytesCodec<number> = {
  carries: 'bytes',
  type: 'number',
  encode: (option, row, value) => {
    const milliseconds = numberIn(option, row, value, 0, MAX_INT32)
    const width = timevalWidth()
    const result = new Uint8Array(2 * width)
    setWord(result, 0, width, Math.floor(milliseconds / 1000))
    setWord(result, width, width, (milliseconds % 1000) * 1000)
    return result
  },
  decode: (value) => {
    const width = value.length / 2
    return getWord(value, 0, width) * 1000 + Math.round(getWord(value, width, width) / 1000)
  },
  capacity: () => 2 * timevalWidth(),
}

function timevalWidth(): number {
  return (native.constants.TIMEVAL_BYTES ?? 16) / 2
}

function setWord(target: Uint8Array, offset: number, width: number, value: number): void {
  if (width === 8) viewOf(target).setBigInt64(offset, BigInt(value), LITTLE)
  else viewOf(target).setInt32(offset, value, LITTLE)
}

function getWord(source: Uint8Array, offset: number, width: number): number {
  if (width === 8) return Number(viewOf(source).getBigInt64(offset, LITTLE))
  return viewOf(source).getInt32(offset, LITTLE)
}

export const transmitTime: BytesCodec<TransmitTime> = {
  carries: 'bytes',
  type: 'TransmitTime',
  shown: '{ clockId, flags }',
  encode: (option, _row, value) => {
    checkObject(option, value)
    const clockId = wholeField(option, value, 'clockId', MAX_INT32)
    const flags = wholeField(option, value, 'flags', U32_MAX)
    return new Struct(new Uint8Array(transmitTimeLayout.size))
      .setI32(transmitTimeLayout.clockid, clockId)
      .setU32(transmitTimeLayout.flags, flags).bytes
  },
  decode: (value) => {
    const struct = new Struct(value)
    return {
      clockId: struct.i32(transmitTimeLayout.clockid),
      flags: struct.u32(transmitTimeLayout.flags),
    }
  },
  capacity: () => transmitTimeLayout.size,
}
