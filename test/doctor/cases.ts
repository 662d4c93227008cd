/** For each rule of the doctor, facts to which it applies, and similar facts to which it does not. */
import type { Facts } from '../../lib/doctor'

/** A host without findings. */
export const healthy: Facts = {
  platform: 'linux',
  kernelRelease: '6.18.1',
  kernel: { major: 6, minor: 18 },
  ownNamespace: false,
  procSysReadOnly: false,
  openFiles: { soft: 65_536, hard: 1_048_576, open: 20 },
  sysctls: {
    'net.core.somaxconn': 4_096,
    'net.ipv4.tcp_abort_on_overflow': 0,
    'net.ipv4.tcp_fin_timeout': 60,
    'net.ipv4.tcp_max_orphans': 131_072,
    'net.ipv4.tcp_max_syn_backlog': 2_048,
    'net.ipv4.tcp_max_tw_buckets': 131_072,
    'net.ipv4.tcp_migrate_req': 0,
    'net.ipv4.tcp_rfc1337': 1,
    'net.ipv4.tcp_syncookies': 1,
    'net.ipv4.tcp_timestamps': 1,
    'net.ipv4.tcp_tw_reuse': 1,
    'net.ipv4.tcp_tw_reuse_delay': 1_000,
    'net.netfilter.nf_conntrack_count': 100,
    'net.netfilter.nf_conntrack_max': 262_144,
  },
  portRange: { min: 10_240, max: 65_535 },
  reservedPorts: [],
  persisted: [],
  sockets: { inUse: 10, inUse6: 0, orphans: 3, timeWait: 5, allocated: 12, memoryPages: 4 },
  counters: {
    ListenDrops: 0,
    ListenOverflows: 0,
    TCPAbortOnMemory: 0,
    TCPReqQFullDoCookies: 0,
    TCPReqQFullDrop: 0,
    TCPTimeWaitOverflow: 0,
    TW: 1_000,
  },
  listeners: [{ address: '0.0.0.0', port: 80, sockets: 1, waiting: 0 }],
  timeWaitByPort: [{ localPort: 40_000, count: 1 }],
  destinations: [to('192.0.2.9', 100, 50)],
}

/** A host about which nothing is known. */
export const unknown: Facts = { platform: 'linux', kernelRelease: '6.18.1' }

export function to(
  remoteAddress: string,
  used: number,
  timeWait: number,
  reusable = 0,
  ports = 55_296,
) {
  const counts = { ports, used, timeWait, reusable, available: ports - used + reusable }
  return { localAddress: '192.0.2.1', remoteAddress, remotePort: 443, ...counts }
}

function but(changes: Partial<Facts>): Facts {
  return { ...healthy, ...changes }
}

/** Changes sysctls, by the last part of their names. */
export function sysctls(changes: Record<string, number | undefined>, other = {}): Facts {
  const known = healthy.sysctls ?? {}
  const prefixes = ['net.ipv4.', 'net.core.', 'net.netfilter.']
  const named = Object.entries(changes).map(([name, value]) => {
    const prefix = prefixes.find((each) => `${each}${name}` in known) ?? 'net.ipv4.'
    return [`${prefix}${name}`, value]
  })
  const all: Record<string, number | undefined> = {
    ...known,
    ...(Object.fromEntries(named) as Record<string, number | undefined>),
  }
  const defined = Object.entries(all).filter(([, value]) => value !== undefined)
  return but({ sysctls: Object.fromEntries(defined), ...other })
}

function counters(changes: Facts['counters']): Facts {
  return but({ counters: { ...healthy.counters, ...changes } })
}

function range(min: number, max: number, other: Partial<Facts> = {}): Facts {
  return but({ portRange: { min, max }, ...other })
}

const service = [{ address: '::', port: 27_017, sockets: 1, waiting: 0 }]
const twoListeners = [{ address: '::', port: 80, sockets: 2, waiting: 0 }]
const remote = { host: 'a.example', port: 443, addresses: ['192.0.2.9'], loopback: false }
const local = { host: '::1', port: 80, addresses: ['::1'], loopback: true }
const block = { reservedPorts: [{ min: 20_000, max: 20_099 }] }
const recycleLine = { file: '/etc/sysctl.conf', sysctl: 'net.ipv4.tcp_tw_recycle', value: '1' }

function kernel(major: number, minor: number): Facts {
  return but({ kernel: { major, minor } })
}

/** Facts with this number of connections on 1,000 ports. */
function taken(used: number, timeWait = 0, reusable = 0, ports = 1_000): Facts {
  return but({
    portRange: { min: 40_000, max: 40_999 },
    destinations: [to('192.0.2.9', used, timeWait, reusable, ports)],
  })
}

export const cases: Record<string, { fires: Facts[]; quiet: Facts[] }> = {
  'destination-nearly-full': {
    fires: [
      taken(900),
      taken(1_000, 1_000),
      // Reusable ports in TIME_WAIT do not count as used.
      taken(1_000, 100, 100),
      taken(950, 950, 49),
      // Reserved ports and ports of listening sockets are not available.
      { ...taken(899, 0, 0, 998), listeners: service },
      taken(0, 0, 0, 0),
    ],
    quiet: [
      taken(899),
      taken(1_000, 200, 101),
      taken(1_000, 1_000, 1_000),
      { ...taken(950), destinations: [] },
    ],
  },
  'destination-slow-half': {
    fires: [taken(500), taken(899), { ...taken(700, 100, 100), listeners: service }],
    quiet: [taken(499), taken(900), taken(800, 301, 301)],
  },
  'port-range-narrow': {
    fires: [range(40_000, 40_999), range(32_768, 60_998, { listeners: service })],
    quiet: [range(32_768, 60_999)],
  },
  'port-range-default': {
    fires: [range(32_768, 60_999, { listeners: service }), range(15_536, 65_534)],
    quiet: [range(32_768, 60_998), range(15_536, 65_535)],
  },
  'port-range-parity': {
    fires: [range(10_241, 65_535), range(1_024, 65_534)],
    quiet: [range(1_024, 65_535)],
  },
  'listener-in-range': {
    fires: [but({ listeners: service })],
    quiet: [
      but({
        listeners: service,
        reservedPorts: [{ min: 27_000, max: 28_000 }],
      }),
    ],
  },
  'reserved-in-range': {
    fires: [but({ reservedPorts: [{ min: 10_000, max: 10_240 }] })],
    quiet: [but({ reservedPorts: [{ min: 8_080, max: 8_089 }] })],
  },
  'port-step-width': {
    fires: [sysctls({ ip_local_port_step_width: 0 }, block)],
    quiet: [
      sysctls({ ip_local_port_step_width: 400 }, block),
      but(block),
      sysctls({ ip_local_port_step_width: 0 }, { reservedPorts: [{ min: 20_000, max: 20_006 }] }),
      sysctls({ ip_local_port_step_width: 0 }, { reservedPorts: [{ min: 100, max: 900 }] }),
    ],
  },
  'tw-reuse-off': {
    fires: [sysctls({ tcp_tw_reuse: 0 }), sysctls({ tcp_tw_reuse: 0 }, { target: local })],
    quiet: [sysctls({ tcp_tw_reuse: 2 }), sysctls({ tcp_tw_reuse: undefined })],
  },
  'tw-reuse-loopback-only': {
    fires: [sysctls({ tcp_tw_reuse: 2 }), sysctls({ tcp_tw_reuse: 2 }, { target: remote })],
    quiet: [
      sysctls({ tcp_tw_reuse: 2 }, { target: local }),
      sysctls({ tcp_tw_reuse: 1 }, { target: remote }),
      sysctls({ tcp_tw_reuse: 0 }),
    ],
  },
  'tw-reuse-without-timestamps': {
    fires: [1, 2].map((reuse) => sysctls({ tcp_tw_reuse: reuse, tcp_timestamps: 0 })),
    quiet: [
      sysctls({ tcp_tw_reuse: 0, tcp_timestamps: 0 }),
      sysctls({ tcp_timestamps: 2 }),
      sysctls({ tcp_timestamps: undefined }),
    ],
  },
  'tw-reuse-delay-long': {
    fires: [sysctls({ tcp_tw_reuse_delay: 1_001 })],
    quiet: [
      sysctls({ tcp_tw_reuse_delay: 5_000, tcp_tw_reuse: 0 }),
      sysctls({ tcp_tw_reuse_delay: undefined }),
      sysctls({ tcp_tw_reuse_delay: 10 }),
    ],
  },
  'tw-reuse-delay-short': {
    fires: [sysctls({ tcp_tw_reuse_delay: 999 }), sysctls({ tcp_tw_reuse_delay: 0 })],
    quiet: [
      sysctls({ tcp_tw_reuse_delay: 0, tcp_tw_reuse: 0 }),
      sysctls({ tcp_tw_reuse_delay: undefined }),
      sysctls({ tcp_tw_reuse_delay: 5_000 }),
    ],
  },
  'tw-recycle': {
    fires: [sysctls({ tcp_tw_recycle: 1 }), but({ persisted: [recycleLine] })],
    quiet: [
      sysctls({ tcp_tw_recycle: 0 }),
      but({ persisted: [{ ...recycleLine, sysctl: 'net.ipv4.tcp_tw_reuse' }] }),
    ],
  },
  'fin-timeout-lowered': {
    fires: [sysctls({ tcp_fin_timeout: 59 })],
    quiet: [sysctls({ tcp_fin_timeout: 120 })],
  },
  'tw-buckets-low': {
    fires: [
      sysctls({ tcp_max_tw_buckets: 55_294 }),
      sysctls({ tcp_max_tw_buckets: 100_000 }, { sockets: { timeWait: 90_000 } }),
    ],
    quiet: [
      sysctls({ tcp_max_tw_buckets: 55_296 }),
      sysctls({ tcp_max_tw_buckets: 100_000 }, { sockets: { timeWait: 89_999 } }),
    ],
  },
  'tw-overflow': {
    fires: [counters({ TCPTimeWaitOverflow: 1 })],
    quiet: [but({ counters: {} })],
  },
  'rfc1337-off': {
    fires: [sysctls({ tcp_rfc1337: 0 })],
    quiet: [sysctls({ tcp_rfc1337: undefined })],
  },
  'timestamps-off': {
    fires: [sysctls({ tcp_timestamps: 0 })],
    quiet: [sysctls({ tcp_timestamps: 2 })],
  },
  'time-wait-on-server-port': {
    fires: [but({ timeWaitByPort: [{ localPort: 80, count: 1_000 }] })],
    quiet: [
      but({ timeWaitByPort: [{ localPort: 80, count: 999 }] }),
      but({ timeWaitByPort: [{ localPort: 81, count: 1_000 }] }),
    ],
  },
  'somaxconn-low': {
    fires: [sysctls({ somaxconn: 128 })],
    quiet: [sysctls({ somaxconn: 65_535 })],
  },
  'listen-overflows': {
    fires: [
      counters({ ListenOverflows: 1, ListenDrops: 1 }),
      sysctls({ somaxconn: 128 }, { counters: { ListenOverflows: 1 } }),
    ],
    quiet: [counters({ ListenDrops: 1 })],
  },
  'syn-queue-full': {
    fires: [
      counters({ TCPReqQFullDoCookies: 1 }),
      sysctls({ somaxconn: 128 }, { counters: { TCPReqQFullDrop: 1 } }),
    ],
    quiet: [counters({ ListenDrops: 1 })],
  },
  'syncookies-off': {
    fires: [sysctls({ tcp_syncookies: 0 })],
    quiet: [sysctls({ tcp_syncookies: 2 })],
  },
  'abort-on-overflow': {
    fires: [sysctls({ tcp_abort_on_overflow: 1 })],
    quiet: [sysctls({ tcp_abort_on_overflow: undefined })],
  },
  'migrate-req-off': {
    fires: [but({ listeners: twoListeners })],
    quiet: [
      sysctls({ tcp_migrate_req: 1 }, { listeners: twoListeners }),
      sysctls({ tcp_migrate_req: undefined }, { listeners: twoListeners }),
    ],
  },
  'orphans-many': {
    fires: [but({ sockets: { orphans: 32_768 } })],
    quiet: [
      but({ sockets: { orphans: 32_767 } }),
      sysctls({ tcp_max_orphans: undefined }, { sockets: { orphans: 1_000_000 } }),
    ],
  },
  'aborted-for-memory': {
    fires: [counters({ TCPAbortOnMemory: 1 })],
    quiet: [but({ counters: {} })],
  },
  'conntrack-nearly-full': {
    fires: [sysctls({ nf_conntrack_count: 80, nf_conntrack_max: 100 })],
    quiet: [
      sysctls({ nf_conntrack_count: 79, nf_conntrack_max: 100 }),
      sysctls({ nf_conntrack_count: 0, nf_conntrack_max: 0 }),
    ],
  },
  'open-files-below-ports': {
    fires: [but({ openFiles: { soft: 1_024, hard: 'unlimited' } })],
    quiet: [but({ openFiles: { soft: 'unlimited', hard: 'unlimited' } })],
  },
  'kernel-lacks-features': {
    fires: [kernel(6, 14), kernel(5, 15), kernel(3, 10)],
    quiet: [kernel(6, 15), kernel(7, 0)],
  },
  'proc-sys-read-only': {
    fires: [but({ procSysReadOnly: true, container: 'docker' }), but({ procSysReadOnly: true })],
    quiet: [but({ container: 'docker' })],
  },
  'no-kernel-facts': {
    fires: [unknown, { platform: 'darwin', kernelRelease: '25.0.0' }],
    quiet: [sysctls({})],
  },
}
