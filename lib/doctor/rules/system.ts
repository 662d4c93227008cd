/** Rules about the host: memory, tracked connections, descriptors, and features of the kernel. */
import { isBefore } from '../../kernel/version'
import { describeOption } from '../../options/describe'
import type { OptionName } from '../../options/option'
import type { Facts } from '../facts'
import { portsPerDestination } from '../port-space'
import { setting, shown, type Rule } from '../rule'

const ORPHANS = 'net.ipv4.tcp_max_orphans'
const CONNTRACK = 'net.netfilter.nf_conntrack_max'
const CONNTRACK_COUNT = 'net.netfilter.nf_conntrack_count'

/** The features that this library uses, and the first kernel with each. */
const features: readonly (readonly [since: string, feature: string])[] = [
  firstWith('IP_BIND_ADDRESS_NO_PORT'),
  ['5.14', 'net.ipv4.tcp_migrate_req'],
  firstWith('IP_LOCAL_PORT_RANGE'),
  ['6.8', 'a connect() that finds every port equally fast with IP_LOCAL_PORT_RANGE'],
  ['6.14', 'net.ipv4.tcp_tw_reuse_delay'],
  firstWith('TCP_RTO_MAX_MS'),
]

function firstWith(name: OptionName): readonly [since: string, feature: string] {
  return [describeOption(name).since ?? '', name]
}

export const systemRules: readonly Rule[] = [
  {
    code: 'orphans-many',
    severity: 'warning',
    title: 'Many closed sockets have not ended',
    when: 'The host has at least a quarter of net.ipv4.tcp_max_orphans orphaned sockets.',
    why: 'A socket that its program has closed stays an orphan until its data and FIN are acknowledged. From a quarter of the limit on, the kernel resets orphans with silent peers; at the limit, every further one. Their undelivered data is lost.',
    sets: [ORPHANS],
    remedy:
      "Find the peers that do not read: `countSockets({ states: ['FIN_WAIT1', 'LAST_ACK', 'CLOSING'], groupBy: ['remoteAddress'] })`. TCP_USER_TIMEOUT ends such connections earlier.",
    risk: 'Up to 64 KB of unswappable kernel memory for each orphan.',
    source: 'tcp(7) tcp_max_orphans; net/ipv4/tcp_timer.c tcp_out_of_resources()',
    find: ({ sysctls = {}, sockets = {} }) => {
      const limit = sysctls[ORPHANS]
      const { orphans } = sockets
      if (limit === undefined || orphans === undefined || orphans < limit / 4) return undefined
      return {
        what: `${shown(orphans)} orphaned sockets; ${ORPHANS} is ${shown(limit)}.`,
        set: [setting(ORPHANS, 2 * limit)],
      }
    },
  },
  {
    code: 'aborted-for-memory',
    severity: 'warning',
    title: 'The kernel ended connections because of memory or too many orphans',
    when: 'TcpExtTCPAbortOnMemory is above 0.',
    why: 'Closed sockets were ended before their data was delivered, because net.ipv4.tcp_max_orphans or net.ipv4.tcp_mem was reached.',
    remedy:
      'Check net.ipv4.tcp_mem and net.ipv4.tcp_max_orphans on the host. Smaller values of SO_SNDBUF and SO_RCVBUF help too.',
    source: 'net/ipv4/tcp.c tcp_check_oom()',
    find: ({ counters = {} }) => {
      const { TCPAbortOnMemory: aborted = 0 } = counters
      if (aborted === 0) return undefined
      return { what: `${shown(aborted)} since this network namespace was created.` }
    },
  },
  {
    code: 'conntrack-nearly-full',
    severity: 'critical',
    title: 'The connection tracking table is nearly full',
    when: 'net.netfilter.nf_conntrack_count is at least 80 % of nf_conntrack_max.',
    why: 'When the table is full, packets of new connections are dropped. A connection in TIME_WAIT stays in it for nf_conntrack_tcp_timeout_time_wait, by default 120 s, which is longer than its port is occupied.',
    sets: [CONNTRACK],
    remedy:
      'Or exclude traffic without NAT from tracking, by a `notrack` rule of nft in a chain of priority raw.',
    risk: 'At least 256 bytes of kernel memory for each entry. The setting exists only in the initial network namespace of the host.',
    source: 'Documentation/networking/nf_conntrack-sysctl.rst',
    find: ({ sysctls = {} }) => {
      const limit = sysctls[CONNTRACK]
      const entries = sysctls[CONNTRACK_COUNT]
      if (limit === undefined || entries === undefined) return undefined
      if (limit === 0 || entries < 0.8 * limit) return undefined
      return {
        what: `${shown(entries)} of ${shown(limit)} entries are in use.`,
        set: [setting(CONNTRACK, 2 * limit)],
      }
    },
  },
  {
    code: 'open-files-below-ports',
    severity: 'advice',
    title: 'The limit of open descriptors is below the ports of a destination',
    when: 'The soft limit RLIMIT_NOFILE of this process is below the number of ports for one destination.',
    why: 'Each open connection needs a descriptor, so the process runs out of descriptors (EMFILE) before ports. TIME_WAIT entries need none.',
    remedy:
      'Use `ulimit -n 65536` in the shell that starts the process, `LimitNOFILE=65536` in a systemd service, or `--ulimit nofile=65536` for a container.',
    risk: 'A descriptor leak is noticed later.',
    source: 'getrlimit(2)',
    find: (facts) => {
      const { soft } = facts.openFiles ?? {}
      const ports = portsPerDestination(facts)
      if (soft === undefined || soft === 'unlimited' || ports === undefined) return undefined
      if (soft >= ports) return undefined
      return {
        what: `The limit of this process is ${shown(soft)} (hard ${limitText(facts)}); a destination has ${shown(ports)} ports.`,
      }
    },
  },
  {
    code: 'kernel-lacks-features',
    severity: 'info',
    title: 'This kernel lacks useful features',
    when: `The kernel is older than ${features.map(([since, what]) => `${since} (${what})`).join(', ')}.`,
    why: 'These features help to use all ports, and to use all of them equally fast.',
    remedy:
      'Use a later kernel. Vendors backport features to older releases: `tune()` reports which options this kernel has.',
    source: 'man-pages IP_LOCAL_PORT_RANGE(2const); docs/options.md',
    find: ({ kernel, kernelRelease }) => {
      if (kernel === undefined) return undefined
      const lacking = features.filter(([since]) => isBefore(kernel, since))
      if (lacking.length === 0) return undefined
      const list = lacking.map(([since, feature]) => `${feature} (${since})`)
      return { what: `Linux ${kernelRelease} is older than: ${list.join('; ')}.` }
    },
  },
  {
    code: 'proc-sys-read-only',
    severity: 'info',
    title: 'Kernel settings cannot be changed from here',
    when: '/proc/sys is mounted read-only, as in most containers.',
    why: 'sysctl(8) fails here, and files in /etc/sysctl.d on the host do not apply to this network namespace.',
    remedy:
      'Pass settings to the container when it starts: `docker run --sysctl net.ipv4.tcp_tw_reuse=1`, or `securityContext.sysctls` of a pod if the cluster allows it.',
    source: 'proc_sys(5); docker-run(1) --sysctl',
    find: ({ procSysReadOnly, container }) => {
      if (procSysReadOnly !== true) return undefined
      const where = container === undefined ? '' : ` This is a container (${container}).`
      return { what: `/proc/sys is mounted read-only.${where}` }
    },
  },
  {
    code: 'no-kernel-facts',
    severity: 'info',
    title: 'The kernel settings could not be read',
    when: '/proc/sys/net does not exist: on another system than Linux, or in a sandbox.',
    why: 'Ports, TIME_WAIT entries and queues cannot be examined here. The absence of other findings means nothing.',
    source: 'proc_sys_net(5)',
    find: ({ sysctls, platform }) =>
      sysctls === undefined ? { what: `/proc/sys/net does not exist on ${platform}.` } : undefined,
  },
]

function limitText({ openFiles }: Facts): string {
  const hard = openFiles?.hard
  return typeof hard === 'number' ? shown(hard) : (hard ?? 'unknown')
}
