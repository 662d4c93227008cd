import { ArgumentTypeError, checkObject, checkWhole } from '../../errors'
import { Struct } from '../../kernel/bytes'
import { bpfInstructionLayout } from '../../kernel/layouts'
import { U32_MAX, unreadable, wholeField, type BytesCodec } from '../codec'

/** One instruction of a classic BPF program, as bpf(4) and linux/filter.h name its fields. */
export interface BpfInstruction {
  code: number
  jt: number
  jf: number
  k: number
}

const MAX_INSTRUCTIONS = 4096

export const filter: BytesCodec<never, readonly BpfInstruction[]> = {
  carries: 'program',
  type: 'readonly BpfInstruction[]',
  shown: 'BpfInstruction[]',
  encode: (option, _row, value) => {
    if (!Array.isArray(value)) throw new ArgumentTypeError(option, 'an instance of Array', value)
    const { length } = value
    checkWhole(`${option}.length`, length, 1, MAX_INSTRUCTIONS)
    const { size, code, jt, jf, k } = bpfInstructionLayout
    const result = new Uint8Array(size * length)
    for (let index = 0; index < length; index++) {
      const name = `${option}[${String(index)}]`
      const instruction: unknown = value[index]
      checkObject(name, instruction)
      new Struct(result.subarray(size * index))
        .setU16(code, wholeField(name, instruction, 'code', 0xffff))
        .setU8(jt, wholeField(name, instruction, 'jt', 0xff))
        .setU8(jf, wholeField(name, instruction, 'jf', 0xff))
        .setU32(k, wholeField(name, instruction, 'k', U32_MAX))
    }
    return result
  },
  decode: unreadable,
  capacity: () => 0,
}
