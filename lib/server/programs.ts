/** Classic BPF programs (linux/filter.h) for listening sockets. */
import type { BpfInstruction } from '../options/kinds/bpf-program'

const LOAD_WORD = 0x20
const LOAD_BYTE = 0x30
const MODULO = 0x94
const AND = 0x54
const JUMP_IF_EQUAL = 0x15
const RETURN = 0x06
const RETURN_ACCUMULATOR = 0x16

/** SKF_AD_OFF + SKF_AD_CPU as an unsigned number. */
const CPU = 2 ** 32 - 0x1000 + 36

const FLAGS_OF_TCP_HEADER = 13
const SYN = 0x02
const ACK = 0x10
const WHOLE_PACKET = 0xffffffff
const NOTHING = 0

/**
 * For SO_ATTACH_REUSEPORT_CBPF: chooses the listener by the number of the CPU that handles the packet, modulo the
 * number of listeners (socket(7)).
 */
export function byCpu(listeners: number): BpfInstruction[] {
  return [
    { code: LOAD_WORD, jt: 0, jf: 0, k: CPU },
    { code: MODULO, jt: 0, jf: 0, k: listeners },
    { code: RETURN_ACCUMULATOR, jt: 0, jf: 0, k: 0 },
  ]
}

/**
 * For SO_ATTACH_FILTER on a listener: drops the SYN of new connections, and lets handshakes that have started
 * complete. The packet begins with its TCP header here, for IPv4 and IPv6. A client whose SYN is dropped repeats it
 * after 1 s, and is refused if the listener is closed by then.
 */
export const noNewConnections: readonly BpfInstruction[] = [
  { code: LOAD_BYTE, jt: 0, jf: 0, k: FLAGS_OF_TCP_HEADER },
  { code: AND, jt: 0, jf: 0, k: SYN | ACK },
  { code: JUMP_IF_EQUAL, jt: 0, jf: 1, k: SYN },
  { code: RETURN, jt: 0, jf: 0, k: NOTHING },
  { code: RETURN, jt: 0, jf: 0, k: WHOLE_PACKET },
]
