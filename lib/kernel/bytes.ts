/** Reads and writes the structs of the kernel, in the byte order of this machine. */
import { endianness } from 'node:os'

/** The byte order of this machine. */
export const LITTLE = endianness() === 'LE'

/** The offset of a number in a struct, in bytes. Only its type carries the size of the number. */
type Offset<Holds extends string> = number & { readonly holds: Holds }
export type U8 = Offset<'u8'>
export type U16 = Offset<'u16'>
export type U32 = Offset<'u32'>
export type U64 = Offset<'u64'>
export type I32 = Offset<'i32'>

/** The position of a member that is not a number, in bytes. */
export interface ByteRun {
  readonly at: number
  readonly size: number
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/**
 * A struct, accessed by the offsets of layouts.ts. Some kernels return fewer bytes: a number beyond the end reads as 0.
 */
export class Struct {
  readonly bytes: Uint8Array
  readonly #view: DataView

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.#view = viewOf(bytes)
  }

  u16(offset: U16): number {
    return offset + 2 <= this.bytes.length ? this.#view.getUint16(offset, LITTLE) : 0
  }

  /** Reads a number in network order, such as a port. */
  networkU16(offset: U16): number {
    return offset + 2 <= this.bytes.length ? this.#view.getUint16(offset) : 0
  }

  u32(offset: U32): number {
    return offset + 4 <= this.bytes.length ? this.#view.getUint32(offset, LITTLE) : 0
  }

  i32(offset: I32): number {
    return offset + 4 <= this.bytes.length ? this.#view.getInt32(offset, LITTLE) : 0
  }

  run({ at, size }: ByteRun): Uint8Array {
    return this.bytes.subarray(at, at + size)
  }

  setU8(offset: U8, value: number): this {
    this.#view.setUint8(offset, value)
    return this
  }

  setU16(offset: U16, value: number): this {
    this.#view.setUint16(offset, value, LITTLE)
    return this
  }

  setU32(offset: U32, value: number): this {
    this.#view.setUint32(offset, value, LITTLE)
    return this
  }

  setI32(offset: I32, value: number): this {
    this.#view.setInt32(offset, value, LITTLE)
    return this
  }

  setRun({ at }: ByteRun, value: Uint8Array): this {
    this.bytes.set(value, at)
    return this
  }
}
