/** The codecs of the kinds of value, by the names that rows of the catalogue use. */
import type { Codec } from './codec'
import { filter } from './kinds/bpf-program'
import { linger } from './kinds/linger'
import { md5Key } from './kinds/md5-key'
import { memoryInfo } from './kinds/memory-info'
import { bool, int, interfaceIndex, u32, u64 } from './kinds/numbers'
import { credentials, socketAddress } from './kinds/peer-info'
import { portRange } from './kinds/port-range'
import { bytes, string } from './kinds/strings'
import { timeval, transmitTime } from './kinds/times'

export const kinds = {
  bool,
  int,
  u32,
  u64,
  interfaceIndex,
  portRange,
  timeval,
  string,
  bytes,
  linger,
  credentials,
  memoryInfo,
  transmitTime,
  socketAddress,
  md5Key,
  filter,
} as const satisfies Readonly<Record<string, Codec>>

/** The name of a codec. */
export type OptionKind = keyof typeof kinds
