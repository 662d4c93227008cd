/** Bytes as the kernel lays them out: in the order of this machine, unless a protocol says otherwise. */
import { endianness } from 'node:os'

/** The byte order of this machine. */
export const LITTLE = endianness() === 'LE'

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
