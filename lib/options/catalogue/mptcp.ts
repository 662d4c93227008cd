import type { OptionTable } from '../row'

/** SOL_MPTCP options, for Multipath TCP sockets, in the order of their kernel names. */
export const mptcpOptions = {
  MPTCP_FULL_INFO: {
    level: 'SOL_MPTCP',
    kind: 'bytes',
    access: 'none',
    when: 'any',
    inherited: null,
    summary: 'Returns the state of the connection and of each subflow.',
    since: '6.5',
    because:
      "Its value begins with a header that states the sizes of the caller's buffers; 'ss -M' and 'ss -ti' show the same.",
    source: 'linux/mptcp.h',
  },
  MPTCP_INFO: {
    level: 'SOL_MPTCP',
    kind: 'bytes',
    access: 'r',
    when: 'any',
    inherited: null,
    summary: 'Returns the subflows, flags and counters of the connection as struct mptcp_info.',
    length: [0, 256],
    only: 'mptcp',
    since: '5.16',
    source: 'linux/mptcp.h',
  },
  MPTCP_SUBFLOW_ADDRS: {
    level: 'SOL_MPTCP',
    kind: 'bytes',
    access: 'none',
    when: 'any',
    inherited: null,
    summary: 'Lists the addresses of the subflows.',
    since: '5.16',
    because:
      "Its value begins with a header that states the sizes of the caller's buffers; 'ss -M' and 'ss -ti' show the same.",
    source: 'linux/mptcp.h',
  },
  MPTCP_TCPINFO: {
    level: 'SOL_MPTCP',
    kind: 'bytes',
    access: 'none',
    when: 'any',
    inherited: null,
    summary: 'Returns TCP_INFO of each subflow.',
    since: '5.16',
    because:
      "Its value begins with a header that states the sizes of the caller's buffers; 'ss -M' and 'ss -ti' show the same.",
    source: 'linux/mptcp.h',
  },
} as const satisfies OptionTable
