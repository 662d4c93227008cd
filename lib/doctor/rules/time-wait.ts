/** Rules on TIME_WAIT: what ends it, what uses it again, and what does not. */
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
  'Where the last ACK to a peer was lost, connect() takes some milliseconds longer: its SYN meets that peer first, and goes out again. With a peer that has no timestamps nothing changes: those ports wait for 60 s.'
/** So many of a server's entries make people look for a fault. */
const MANY = 1_000

export const timeWaitRules: readonly Rule[] = [
  {
    code: 'timestamps-off',
    severity: 'warning',
    title: 'TCP timestamps are off',
    when: 'net.ipv4.tcp_timestamps is 0.',
    why: 'Without them there is no PAWS: a delayed segment of an old connection may be accepted by the next one on the same ports. Ports in TIME_WAIT are not used again, and close mode `deliver` is `fin`, since both are safe with timestamps only.',
    sets: [TIMESTAMPS],
    risk: '12 bytes in each segment.',
    source: 'RFC 7323 section 5; tcp(7) tcp_timestamps',
    find: (facts) => equal(facts, TIMESTAMPS, 0, [setting(TIMESTAMPS, 1)]),
  },
  {
    code: 'tw-reuse-off',
    severity: 'advice',
    title: 'Ports in TIME_WAIT are not used again',
    when: 'net.ipv4.tcp_tw_reuse is 0.',
    why: 'With it, connect() takes a port whose connection to the same destination has been in TIME_WAIT for a second, where both ends use timestamps: these keep the segments of the two apart. It is for outgoing connections only; a server gains nothing.',
    sets: [REUSE],
    risk: REUSE_RISK,
    source: 'Documentation/networking/ip-sysctl.rst tcp_tw_reuse; RFC 6191',
    find: (facts) => equal(facts, REUSE, 0, [setting(REUSE, 1)]),
  },
  {
    code: 'tw-reuse-loopback-only',
    severity: 'advice',
    title: 'Ports in TIME_WAIT are used again on loopback only',
    when: 'net.ipv4.tcp_tw_reuse is 2, the default, and the target is not a loopback address or none was named.',
    why: 'With 2 the kernel uses a port again only where one end is 127.0.0.0/8 or ::1; to every other destination, another address of this host included, it waits for 60 s. With 1 it does so for all destinations whose connection had timestamps.',
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
    title: 'tcp_tw_reuse does nothing without TCP timestamps',
    when: 'net.ipv4.tcp_tw_reuse is 1 or 2 and net.ipv4.tcp_timestamps is 0.',
    why: 'A port in TIME_WAIT is used again only where its connection had timestamps.',
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
    title: 'Ports in TIME_WAIT are used again later than they could be',
    when: 'net.ipv4.tcp_tw_reuse is not 0 and net.ipv4.tcp_tw_reuse_delay is above 1,000 ms.',
    why: 'The ports of the range, divided by the delay, are the rate of connections that one destination can have for long.',
    sets: [DELAY],
    risk: 'A peer whose timestamp clock ticks more rarely than once a second, which RFC 7323 does not allow, may refuse the connection.',
    source: 'Documentation/networking/ip-sysctl.rst tcp_tw_reuse_delay; RFC 7323 section 5.4',
    find: (facts) => delayed(facts, (delay) => delay > DEFAULT_DELAY_MS),
  },
  {
    code: 'tw-reuse-delay-short',
    severity: 'warning',
    title: 'Ports in TIME_WAIT may be used again before the timestamp of a peer has changed',
    when: 'net.ipv4.tcp_tw_reuse is not 0 and net.ipv4.tcp_tw_reuse_delay is below 1,000 ms.',
    why: 'PAWS tells old segments from new ones by the timestamp of the peer. Its clock may tick as rarely as once a second: within one tick the two cannot be told apart.',
    sets: [DELAY],
    risk: 'Fewer connections per second to one destination.',
    source: 'Documentation/networking/ip-sysctl.rst tcp_tw_reuse_delay; RFC 7323 section 5.4',
    find: (facts) => delayed(facts, (delay) => delay < DEFAULT_DELAY_MS),
  },
  {
    code: 'tw-recycle',
    severity: 'warning',
    title: 'tcp_tw_recycle is not to be used',
    when: 'net.ipv4.tcp_tw_recycle is there and not 0, or a file of sysctl.d sets it.',
    why: 'It dropped the SYNs of clients that share an address, as behind NAT. Linux has it no more since 4.12: there a line that sets it is an error and does nothing.',
    sets: [RECYCLE],
    remedy:
      'Take the line out of the file. What helps in its place is net.ipv4.tcp_tw_reuse, for outgoing connections.',
    source: 'Linux commit 4396e46187ca (tcp: remove tcp_tw_recycle)',
    find: recycled,
  },
  {
    code: 'fin-timeout-lowered',
    severity: 'info',
    title: 'tcp_fin_timeout does not shorten TIME_WAIT',
    when: 'net.ipv4.tcp_fin_timeout is below 60 s, the default.',
    why: 'It is how long a closed socket waits in FIN_WAIT2 for the FIN of its peer. TIME_WAIT lasts 60 s whatever it is. Lowered, a FIN that comes later than that is answered by a RST.',
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
    title: 'There is room for fewer TIME_WAIT entries than one destination has ports',
    when: 'net.ipv4.tcp_max_tw_buckets is below the ports of one destination, or 90 % of it are in use.',
    why: 'Beyond the limit a connection that is closed gets no TIME_WAIT: a delayed segment of it can enter the next connection on the same ports. Lowering it frees no port: entries that are there stay for their 60 s.',
    sets: [BUCKETS],
    risk: '256 bytes of kernel memory for each entry.',
    source: 'tcp(7) tcp_max_tw_buckets; net/ipv4/inet_timewait_sock.c inet_twsk_alloc()',
    find: bucketsLow,
  },
  {
    code: 'tw-overflow',
    severity: 'warning',
    title: 'Connections were closed without the TIME_WAIT that they should have had',
    when: 'TcpExtTCPTimeWaitOverflow is above 0.',
    why: 'A delayed segment of such a connection can enter the next one on the same ports, and a peer whose last FIN was not acknowledged is answered by a RST.',
    sets: [BUCKETS],
    risk: '256 bytes of kernel memory for each entry.',
    source: 'net/ipv4/tcp_minisocks.c tcp_time_wait()',
    find: (facts) => {
      const overflow = facts.counters?.TCPTimeWaitOverflow ?? 0
      if (overflow === 0) return undefined
      const limit = facts.sysctls?.[BUCKETS]
      const of = limit === undefined ? '' : `; ${BUCKETS} is ${shown(limit)}`
      return {
        what: `${shown(overflow)} since this network namespace was made${of}.`,
        ...(limit === undefined ? {} : { set: [setting(BUCKETS, roomFor(facts, limit))] }),
      }
    },
  },
  {
    code: 'rfc1337-off',
    severity: 'info',
    title: 'A RST ends TIME_WAIT at once',
    when: 'net.ipv4.tcp_rfc1337 is 0, the default.',
    why: "A RST with the right sequence number removes the entry, and with it the protection against delayed segments of the old connection. Where timestamps are in use PAWS protects too. The kernel's text on the setting reads the other way round; its code, and measurement, say this.",
    sets: [RFC1337],
    risk: 'With 1, a SYN from the port of the old peer to a port in TIME_WAIT at which nothing listens is refused only when the 60 s are over.',
    source: 'RFC 1337; net/ipv4/tcp_minisocks.c tcp_timewait_state_process()',
    find: (facts) => equal(facts, RFC1337, 0, [setting(RFC1337, 1)]),
  },
  {
    code: 'time-wait-on-server-port',
    severity: 'info',
    title: "TIME_WAIT on a server's own port is harmless",
    when: '1,000 or more TIME_WAIT entries are at the port of a listening socket.',
    why: 'A server needs no port of its own for each connection: its clients have them. An entry costs 256 bytes of kernel memory and keeps no client from connecting again, since a SYN with a newer timestamp or a higher sequence number is let in.',
    remedy:
      "Nothing has to be done. Should there be fewer, let the client close first, or `tuneServer(server, { close: 'deliver' })`.",
    source: 'RFC 6191; net/ipv4/tcp_minisocks.c tcp_timewait_state_process()',
    find: ({ timeWaitByPort = [], listeners = [] }) => {
      const ports = new Set(listeners.map(({ port }) => port))
      const own = timeWaitByPort.filter(
        ({ localPort, count }) => count >= MANY && ports.has(localPort),
      )
      if (own.length === 0) return undefined
      const list = own.map(({ localPort, count }) => `${shown(count)} at port ${String(localPort)}`)
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
  const said = lines.map((line) => `${line.file} has ${RECYCLE} = ${line.value}.`)
  return on
    ? { what: [`${RECYCLE} is ${String(value)}.`, ...said].join(' '), set: [setting(RECYCLE, 0)] }
    : { what: said.join(' ') }
}

function bucketsLow(facts: Facts): Found | undefined {
  const limit = facts.sysctls?.[BUCKETS]
  if (limit === undefined) return undefined
  const ports = portsPerDestination(facts) ?? 0
  const entries = facts.sockets?.timeWait ?? 0
  if (limit >= ports && entries < 0.9 * limit) return undefined
  return {
    what: `${BUCKETS} is ${shown(limit)}; a destination has ${shown(ports)} ports, and ${shown(entries)} entries are there now.`,
    set: [setting(BUCKETS, roomFor(facts, limit))],
  }
}

/** For all ports to one destination, and twice what there was room for. */
function roomFor(facts: Facts, limit: number): number {
  return Math.max(2 * limit, portsPerDestination(facts) ?? 0, 65_536)
}
