import type { OptionTable } from '../row'

/** SOL_MPTCP options, for Multipath TCP sockets, in the order of their kernel names. */
export const mptcpOptions = {
  MPTCP_FULL_INFO: {
    level: 'SOL_MPTCP',
    kind: 'bytes',
    access: 'none',
    when: 'any',
    inherited: null,
    summary: 'Describes the connection and each of its subflows.',
    since: '6.5',
    because:
      "Its value begins with a header that says how much room there is; 'ss -M' and 'ss -ti' show the same.",
    source: 'linux/mptcp.h',
  },
  MPTCP_INFO: {
    level: 'SOL_MPTCP',
    kind: 'bytes',
    access: 'r',
    when: 'any',
    inherited: null,
    summary: 'Describes the connection: subflows, flags and counters, as struct mptcp_info.',
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
      "Its value begins with a header that says how much room there is; 'ss -M' and 'ss -ti' show the same.",
    source: 'linux/mptcp.h',
  },
  MPTCP_TCPINFO: {
    level: 'SOL_MPTCP',
    kind: 'bytes',
    access: 'none',
    when: 'any',
    inherited: null,
    summary: 'Gives TCP_INFO of each subflow.',
    since: '5.16',
    because:
      "Its value begins with a header that says how much room there is; 'ss -M' and 'ss -ti' show the same.",
    source: 'linux/mptcp.h',
  },
} as const satisfies OptionTable
