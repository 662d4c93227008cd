import { ArgumentRangeError, checkObject } from '../../errors'
import { MAX_PORT, type PortRange } from '../../kernel/proc'
import { wholeField, type IntCodec } from '../codec'

export type { PortRange }

/** The low 16 bits are the lower bound, the high 16 bits the upper bound (ip(7), IP_LOCAL_PORT_RANGE). */
export const portRange: IntCodec<PortRange> = {
  carries: 'int',
  type: 'PortRange',
  shown: '{ min, max }',
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
