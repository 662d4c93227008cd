/** Rules on the host: memory, tracked connections, descriptors, and what the kernel can do. */
import { isBefore } from '../../kernel/version'
import { catalogue } from '../../options/catalogue'
import type { Facts } from '../facts'
import { portsPerDestination } from '../port-space'
import { setting, shown, type Rule } from '../rule'

const ORPHANS = 'net.ipv4.tcp_max_orphans'
const CONNTRACK = 'net.netfilter.nf_conntrack_max'
const CONNTRACK_COUNT = 'net.netfilter.nf_conntrack_count'

/** What this library has a use for, and the first kernel that has it. */
const features: readonly (readonly [since: string, feature: string])[] = [
  [catalogue.IP_BIND_ADDRESS_NO_PORT.since, 'IP_BIND_ADDRESS_NO_PORT'],
  ['5.14', 'net.ipv4.tcp_migrate_req'],
  [catalogue.IP_LOCAL_PORT_RANGE.since, 'IP_LOCAL_PORT_RANGE'],
  ['6.8', 'a connect() that takes all ports at the same speed with IP_LOCAL_PORT_RANGE'],
  ['6.14', 'net.ipv4.tcp_tw_reuse_delay'],
  [catalogue.TCP_RTO_MAX_MS.since, 'TCP_RTO_MAX_MS'],
]

export const systemRules: readonly Rule[] = [
  {
    code: 'orphans-many',
    severity: 'warning',
    title: 'Many closed sockets have not ended',
    when: 'The orphaned sockets of the host are a quarter of net.ipv4.tcp_max_orphans or more.',
    why: 'Sockets that their program has closed stay while their data or FIN is under way. From a quarter of the limit on the kernel resets those whose peer is silent, at the limit every further one: what was not delivered yet is lost.',
    sets: [ORPHANS],
    remedy:
      "Find out which peers do not read: `countSockets({ states: ['FIN_WAIT1', 'LAST_ACK', 'CLOSING'], groupBy: ['remoteAddress'] })`. TCP_USER_TIMEOUT ends such connections earlier.",
    risk: 'Up to 64 KB of kernel memory that cannot be swapped for each orphan.',
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
    title: 'Connections were ended for want of memory or too many orphans',
    when: 'TcpExtTCPAbortOnMemory is above 0.',
    why: 'The kernel ended closed sockets before their data was delivered: net.ipv4.tcp_max_orphans or net.ipv4.tcp_mem was reached.',
    remedy:
      'See net.ipv4.tcp_mem and net.ipv4.tcp_max_orphans on the host; smaller SO_SNDBUF and SO_RCVBUF help too.',
    source: 'net/ipv4/tcp.c tcp_check_oom()',
    find: ({ counters = {} }) => {
      const { TCPAbortOnMemory: aborted = 0 } = counters
      if (aborted === 0) return undefined
      return { what: `${shown(aborted)} since this network namespace was made.` }
    },
  },
  {
    code: 'conntrack-nearly-full',
    severity: 'critical',
    title: 'The table of tracked connections is nearly full',
    when: 'net.netfilter.nf_conntrack_count is 80 % of nf_conntrack_max or more.',
    why: 'When it is full, the packets of new connections are dropped. A connection in TIME_WAIT stays in the table for nf_conntrack_tcp_timeout_time_wait, 120 s by default, which is longer than the kernel keeps its port.',
    sets: [CONNTRACK],
    remedy:
      'Or do not track what needs no NAT: a `notrack` rule of nft in a chain of priority raw.',
    risk: '256 bytes of kernel memory and more for each entry. It can only be set in the first network namespace of the host.',
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
    title: 'A process may open fewer descriptors than a destination has ports',
    when: 'The soft limit RLIMIT_NOFILE of this process is below the ports of one destination.',
    why: 'Each connection takes one: the process runs out of descriptors (EMFILE) before it runs out of ports. TIME_WAIT takes none.',
    remedy:
      '`ulimit -n 65536` in the shell that starts it, `LimitNOFILE=65536` for a systemd service, `--ulimit nofile=65536` for a container.',
    risk: 'A leak of descriptors is noticed later.',
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
    title: 'This kernel is older than features that help',
    when: `The kernel is older than ${features.map(([since, what]) => `${since} (${what})`).join(', ')}.`,
    why: 'Without them there are fewer ways to use all ports, at the speed of the first.',
    remedy:
      'A later kernel. Vendors bring features to older releases: `tune()` tells for each option.',
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
    title: 'Kernel settings cannot be changed from in here',
    when: '/proc/sys is mounted read-only, as in most containers.',
    why: 'sysctl(8) fails in here, and files of the host in /etc/sysctl.d are not for this network namespace.',
    remedy:
      'Give them to the container when it is started: `docker run --sysctl net.ipv4.tcp_tw_reuse=1`, or `securityContext.sysctls` of a pod, where the cluster allows them.',
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
    when: 'There is no /proc/sys/net: another system than Linux, or a sandbox.',
    why: 'Nothing is known here of ports, TIME_WAIT and queues; that no other finding is shown means nothing.',
    source: 'proc_sys_net(5)',
    find: ({ sysctls, platform }) =>
      sysctls === undefined ? { what: `There is no /proc/sys/net on ${platform}.` } : undefined,
  },
]

function limitText({ openFiles }: Facts): string {
  const hard = openFiles?.hard
  return typeof hard === 'number' ? shown(hard) : (hard ?? 'unknown')
}
