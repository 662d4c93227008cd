/** Rules about TIME_WAIT: the settings that end, reuse or limit its entries, and those that do not. */
import type { Facts } from '../facts'
import type { SysctlName } from '../facts/sysctls'
import { portsPerDestination } from '../port-space'
import { setting, shown, type Found, type Rule } from '../rule'

const REUSE = 'net.ipv4.tcp_tw_reuse'
const DELAY = 'net.ipv4.tcp_tw_reuse_delay'
const TIMESTAMPS = 'net.ipv4.tcp_timestamps'
const RECYCLE = 'net.ipv4.tcp_tw_recycle'
const FIN_TIMEOUT = 'net.ipv4.tcp_fin_timeout'
const BUCKETS = 'net.ipv4.tcp_max_tw_buckets'
const RFC1337 = 'net.ipv4.tcp_rfc1337'

const DEFAULT_DELAY_MS = 1_000
const DEFAULT_FIN_TIMEOUT_S = 60
const REUSE_RISK =
  'If the last ACK to a peer was lost, a connect() takes some milliseconds longer: the SYN meets the old connection of the peer and is sent again. Ports of connections without timestamps still wait for 60 s.'
/** A number of entries on a server's port that makes people suspect a problem. */
const MANY = 1_000

export const timeWaitRules: readonly Rule[] = [
  {
    code: 'timestamps-off',
    severity: 'warning',
    title: 'TCP timestamps are off',
    when: 'net.ipv4.tcp_timestamps is 0.',
    why: 'Without timestamps there is no PAWS: the next connection on the same ports may accept a delayed segment of an old one. Because that is unsafe, ports in TIME_WAIT are not reused, and close mode `deliver` falls back to `fin`.',
    sets: [TIMESTAMPS],
    risk: '12 bytes in each segment.',
    source: 'RFC 7323 section 5; tcp(7) tcp_timestamps',
    find: (facts) => equal(facts, TIMESTAMPS, 0, [setting(TIMESTAMPS, 1)]),
  },
  {
    code: 'tw-reuse-off',
    severity: 'advice',
    title: 'Ports in TIME_WAIT are not reused',
    when: 'net.ipv4.tcp_tw_reuse is 0.',
    why: 'With 1, connect() reuses a port whose connection to the same destination has been in TIME_WAIT for a second, if both ends use timestamps. These keep the segments of the two connections apart. The setting affects outgoing connections only and does not help servers.',
    sets: [REUSE],
    risk: REUSE_RISK,
    source: 'Documentation/networking/ip-sysctl.rst tcp_tw_reuse; RFC 6191',
    find: (facts) => equal(facts, REUSE, 0, [setting(REUSE, 1)]),
  },
  {
    code: 'tw-reuse-loopback-only',
    severity: 'advice',
    title: 'Ports in TIME_WAIT are reused on loopback only',
    when: 'net.ipv4.tcp_tw_reuse is 2, the default, and no target is given or it is not a loopback address.',
    why: 'With 2, the kernel reuses a port only if one end is in 127.0.0.0/8 or ::1. Ports for every other destination, including other addresses of this host, wait for 60 s. With 1, ports for all destinations are reused if the connection had timestamps.',
    sets: [REUSE],
    risk: REUSE_RISK,
    source:
      'Documentation/networking/ip-sysctl.rst tcp_tw_reuse; net/ipv4/tcp_ipv4.c tcp_twsk_unique()',
    find: (facts) =>
      facts.target?.loopback === true ? undefined : equal(facts, REUSE, 2, [setting(REUSE, 1)]),
  },
  {
    code: 'tw-reuse-without-timestamps',
    severity: 'warning',
    title: 'tcp_tw_reuse has no effect without TCP timestamps',
    when: 'net.ipv4.tcp_tw_reuse is 1 or 2 and net.ipv4.tcp_timestamps is 0.',
    why: 'A port in TIME_WAIT is reused only if its connection had timestamps.',
    sets: [TIMESTAMPS],
    source: 'net/ipv4/tcp_ipv4.c tcp_twsk_unique()',
    find: ({ sysctls = {} }) => {
      const reuse = sysctls[REUSE]
      if (reuse === undefined || reuse === 0 || sysctls[TIMESTAMPS] !== 0) return undefined
      return {
        what: `${REUSE} is ${String(reuse)} and ${TIMESTAMPS} is 0.`,
        set: [setting(TIMESTAMPS, 1)],
      }
    },
  },
  {
    code: 'tw-reuse-delay-long',
    severity: 'advice',
    title: 'Ports in TIME_WAIT are reused later than necessary',
    when: 'net.ipv4.tcp_tw_reuse is not 0 and net.ipv4.tcp_tw_reuse_delay is above 1,000 ms.',
    why: 'The number of ports divided by the delay is the sustainable rate of connections to one destination.',
    sets: [DELAY],
    risk: 'A peer whose timestamp clock ticks less than once a second, which violates RFC 7323, may refuse the connection.',
    source: 'Documentation/networking/ip-sysctl.rst tcp_tw_reuse_delay; RFC 7323 section 5.4',
    find: (facts) => delayed(facts, (delay) => delay > DEFAULT_DELAY_MS),
  },
  {
    code: 'tw-reuse-delay-short',
    severity: 'warning',
    title: 'Ports in TIME_WAIT may be reused before the timestamp of a peer has changed',
    when: 'net.ipv4.tcp_tw_reuse is not 0 and net.ipv4.tcp_tw_reuse_delay is below 1,000 ms.',
    why: 'PAWS distinguishes old segments from new ones by the timestamps of the peer. The clock of the peer may tick only once a second, and within one tick PAWS cannot distinguish them.',
    sets: [DELAY],
    risk: 'Fewer connections per second to one destination.',
    source: 'Documentation/networking/ip-sysctl.rst tcp_tw_reuse_delay; RFC 7323 section 5.4',
    find: (facts) => delayed(facts, (delay) => delay < DEFAULT_DELAY_MS),
  },
  {
    code: 'tw-recycle',
    severity: 'warning',
    title: 'tcp_tw_recycle must not be used',
    when: 'net.ipv4.tcp_tw_recycle exists and is not 0, or a file of sysctl.d sets it.',
    why: 'It drops the SYNs of clients that share an address, for example behind NAT. Linux removed it in 4.12: since then a line that sets it is an error without effect.',
    sets: [RECYCLE],
    remedy:
      'Delete the line from the file. For outgoing connections, use net.ipv4.tcp_tw_reuse instead.',
    source: 'Linux commit 4396e46187ca (tcp: remove tcp_tw_recycle)',
    find: recycled,
  },
  {
    code: 'fin-timeout-lowered',
    severity: 'info',
    title: 'tcp_fin_timeout does not shorten TIME_WAIT',
    when: 'net.ipv4.tcp_fin_timeout is below 60 s, the default.',
    why: 'It is the time for which a closed socket waits in FIN_WAIT2 for the FIN of its peer. TIME_WAIT always lasts 60 s. With a lower value, a FIN that arrives later is answered by a RST.',
    sets: [FIN_TIMEOUT],
    risk: 'Closed sockets whose peer never sends its FIN stay for 60 s.',
    source: 'tcp(7) tcp_fin_timeout; net/ipv4/tcp_minisocks.c tcp_time_wait()',
    find: ({ sysctls = {} }) => {
      const seconds = sysctls[FIN_TIMEOUT]
      if (seconds === undefined || seconds >= DEFAULT_FIN_TIMEOUT_S) return undefined
      return {
        what: `${FIN_TIMEOUT} is ${String(seconds)} s.`,
        set: [setting(FIN_TIMEOUT, DEFAULT_FIN_TIMEOUT_S)],
      }
    },
  },
  {
    code: 'tw-buckets-low',
    severity: 'warning',
    title: 'The limit of TIME_WAIT entries is below the ports of one destination',
    when: 'net.ipv4.tcp_max_tw_buckets is below the number of ports for one destination, or at least 90 % of it is in use.',
    why: 'Above the limit, a closed connection gets no TIME_WAIT entry, and a delayed segment of it can enter the next connection on the same ports. Lowering the limit frees no port: existing entries stay for their 60 s.',
    sets: [BUCKETS],
    risk: '256 bytes of kernel memory for each entry.',
    source: 'tcp(7) tcp_max_tw_buckets; net/ipv4/inet_timewait_sock.c inet_twsk_alloc()',
    find: bucketsLow,
  },
  {
    code: 'tw-overflow',
    severity: 'warning',
    title: 'Connections were closed without their TIME_WAIT entry',
    when: 'TcpExtTCPTimeWaitOverflow is above 0.',
    why: 'A delayed segment of such a connection can enter the next one on the same ports. A peer that repeats its FIN, because the last ACK was lost, receives a RST.',
    sets: [BUCKETS],
    risk: '256 bytes of kernel memory for each entry.',
    source: 'net/ipv4/tcp_minisocks.c tcp_time_wait()',
    find: (facts) => {
      const overflow = facts.counters?.TCPTimeWaitOverflow ?? 0
      if (overflow === 0) return undefined
      const limit = facts.sysctls?.[BUCKETS]
      const of = limit === undefined ? '' : `; ${BUCKETS} is ${shown(limit)}`
      return {
        what: `${shown(overflow)} since this network namespace was created${of}.`,
        ...(limit === undefined ? {} : { set: [setting(BUCKETS, roomFor(facts, limit))] }),
      }
    },
  },
  {
    code: 'rfc1337-off',
    severity: 'info',
    title: 'A RST ends TIME_WAIT',
    when: 'net.ipv4.tcp_rfc1337 is 0, the default.',
    why: "A RST with a matching sequence number removes the entry, and with it the protection from delayed segments of the old connection. With timestamps, PAWS still protects. The kernel's documentation of this setting can be read the other way; its code and measurements show the behaviour described here.",
    sets: [RFC1337],
    risk: 'With 1, a connection from the same port of the peer to a port in TIME_WAIT without a listener is refused only after the 60 s.',
    source: 'RFC 1337; net/ipv4/tcp_minisocks.c tcp_timewait_state_process()',
    find: (facts) => equal(facts, RFC1337, 0, [setting(RFC1337, 1)]),
  },
  {
    code: 'time-wait-on-server-port',
    severity: 'info',
    title: "TIME_WAIT on a server's own port is harmless",
    when: 'The port of a listening socket has at least 1,000 TIME_WAIT entries.',
    why: 'All connections of a server use the same port on its side, so entries occupy no further ports. An entry costs 256 bytes of kernel memory. It does not keep a client from connecting again: a SYN with a newer timestamp or a higher sequence number is accepted.',
    remedy:
      "None needed. For fewer entries, let the client close first, or call `tuneServer(server, { close: 'deliver' })`.",
    source: 'RFC 6191; net/ipv4/tcp_minisocks.c tcp_timewait_state_process()',
    find: ({ timeWaitByPort = [], listeners = [] }) => {
      const ports = new Set(listeners.map(({ port }) => port))
      const own = timeWaitByPort.filter(
        ({ localPort, count }) => count >= MANY && ports.has(localPort),
      )
      if (own.length === 0) return undefined
      const list = own.map(({ localPort, count }) => `${shown(count)} on port ${String(localPort)}`)
      return { what: `${list.join(', ')}.` }
    },
  },
]

function equal(
  { sysctls = {} }: Facts,
  sysctl: SysctlName,
  value: number,
  set: Found['set'] = [],
): Found | undefined {
  return sysctls[sysctl] === value ? { what: `${sysctl} is ${String(value)}.`, set } : undefined
}

function delayed({ sysctls = {} }: Facts, isWrong: (delay: number) => boolean): Found | undefined {
  const delay = sysctls[DELAY]
  const reuse = sysctls[REUSE]
  if (delay === undefined || reuse === undefined || reuse === 0 || !isWrong(delay)) return undefined
  return {
    what: `${DELAY} is ${shown(delay)} ms.`,
    set: [setting(DELAY, DEFAULT_DELAY_MS)],
  }
}

function recycled({ sysctls = {}, persisted = [] }: Facts): Found | undefined {
  const lines = persisted.filter(({ sysctl }) => sysctl === RECYCLE)
  const value = sysctls[RECYCLE]
  const on = value !== undefined && value !== 0
  if (!on && lines.length === 0) return undefined
  const inFiles = lines.map((line) => `${line.file} has ${RECYCLE} = ${line.value}.`)
  return on
    ? {
        what: [`${RECYCLE} is ${String(value)}.`, ...inFiles].join(' '),
        set: [setting(RECYCLE, 0)],
      }
    : { what: inFiles.join(' ') }
}

function bucketsLow(facts: Facts): Found | undefined {
  const limit = facts.sysctls?.[BUCKETS]
  if (limit === undefined) return undefined
  const ports = portsPerDestination(facts) ?? 0
  const entries = facts.sockets?.timeWait ?? 0
  if (limit >= ports && entries < 0.9 * limit) return undefined
  return {
    what: `${BUCKETS} is ${shown(limit)}; a destination has ${shown(ports)} ports, and ${shown(entries)} entries exist now.`,
    set: [setting(BUCKETS, roomFor(facts, limit))],
  }
}

/** Room for all ports of one destination, and at least twice the current limit. */
function roomFor(facts: Facts, limit: number): number {
  return Math.max(2 * limit, portsPerDestination(facts) ?? 0, 65_536)
}
