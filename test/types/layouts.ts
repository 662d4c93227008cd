/** Compiled only: reads and writes with the offsets of lib/kernel/layouts.ts that must or must not compile. */
import type { Struct } from '../../lib/kernel/bytes'
import { lingerLayout, md5SignatureLayout, tcpInfoLayout } from '../../lib/kernel/layouts'

// @ts-expect-error -- no such member
export type Misspelt = (typeof tcpInfoLayout)['rt0']

export function members(struct: Struct): void {
  struct.u32(tcpInfoLayout.rto)
  struct.setI32(lingerLayout.onoff, 1).setRun(md5SignatureLayout.key, new Uint8Array(1))
  // @ts-expect-error -- it has 16 bits
  struct.u32(tcpInfoLayout.totalRto)
  // @ts-expect-error -- it has 8 bits
  struct.u16(tcpInfoLayout.state)
  // @ts-expect-error -- it has a sign
  struct.u32(lingerLayout.linger)
  // @ts-expect-error -- it is no number
  struct.u32(md5SignatureLayout.key)
  // @ts-expect-error -- any number will not do
  struct.u32(8)
  // @ts-expect-error -- offsets do not change
  tcpInfoLayout.rto = tcpInfoLayout.ato
}
