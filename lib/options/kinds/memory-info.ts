import { Struct } from '../../kernel/bytes'
import { memoryInfoLayout } from '../../kernel/layouts'
import { readOnly, type BytesCodec } from '../codec'

/** SO_MEMINFO. All fields are bytes, except `drops`, which counts packets. */
export interface MemoryInfo {
  rmemAlloc: number
  rcvbuf: number
  wmemAlloc: number
  sndbuf: number
  forwardAlloc: number
  wmemQueued: number
  optmem: number
  backlog: number
  drops: number
}

export const memoryInfo: BytesCodec<MemoryInfo> = {
  carries: 'bytes',
  type: 'MemoryInfo',
  encode: readOnly,
  decode: (value) => {
    const struct = new Struct(value)
    return {
      rmemAlloc: struct.u32(memoryInfoLayout.rmemAlloc),
      rcvbuf: struct.u32(memoryInfoLayout.rcvbuf),
      wmemAlloc: struct.u32(memoryInfoLayout.wmemAlloc),
      sndbuf: struct.u32(memoryInfoLayout.sndbuf),
      forwardAlloc: struct.u32(memoryInfoLayout.fwdAlloc),
      wmemQueued: struct.u32(memoryInfoLayout.wmemQueued),
      optmem: struct.u32(memoryInfoLayout.optmem),
      backlog: struct.u32(memoryInfoLayout.backlog),
      drops: struct.u32(memoryInfoLayout.drops),
    }
  },
  capacity: () => memoryInfoLayout.size,
}
