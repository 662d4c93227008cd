/** Rules about listening sockets: their queues, and the connections that find a queue full. */
import { endpoint } from '../../connect/address'
import type { Facts } from '../facts'
import { setting, shown, type Found, type Rule } from '../rule'

const SOMAXCONN = 'net.core.somaxconn'
const SYNCOOKIES = 'net.ipv4.tcp_syncookies'
const ABORT = 'net.ipv4.tcp_abort_on_overflow'
const MIGRATE = 'net.ipv4.tcp_migrate_req'

/** The default since Linux 5.4; 128 before. */
const DEFAULT_SOMAXCONN = 4_096
const BACKLOG_REMEDY =
  "Use a longer backlog than Node's 511: `listen(server, { backlog })`, with net.core.somaxconn at least as large. Accept faster: a busy event loop accepts nothing, and `prefork()` adds one per worker."

export const listenRules: readonly Rule[] = [
  {
    code: 'somaxconn-low',
    severity: 'advice',
    title: 'Accept queues are short',
    when: 'net.core.somaxconn is below 4,096, the default since Linux 5.4.',
    why: 'listen(2) silently limits every backlog to this value. The connections of a longer burst are dropped, and their clients try again a second later.',
    sets: [SOMAXCONN],
    risk: 'Memory for the waiting connections. A program has the longer queue only after it listens again.',
    source: 'listen(2); Documentation/networking/ip-sysctl.rst somaxconn',
    find: (facts) => {
      const { set } = longerQueues(facts)
      if (set === undefined) return undefined
      return { what: `${SOMAXCONN} is ${shown(facts.sysctls?.[SOMAXCONN] ?? 0)}.`, set }
    },
  },
  {
    code: 'listen-overflows',
    severity: 'warning',
    title: 'Connections were dropped because an accept queue was full',
    when: 'TcpExtListenOverflows is above 0.',
    why: 'The client considers itself connected, or repeats its SYN after a second and more. The server notices nothing, and the client sees a slow server.',
    sets: [SOMAXCONN],
    remedy: BACKLOG_REMEDY,
    risk: 'A longer queue turns lost connections into late answers. It does not help if clients give up before that.',
    source: 'listen(2); net/ipv4/tcp_ipv4.c tcp_v4_syn_recv_sock()',
    find: (facts) => {
      const { ListenOverflows: overflows = 0, ListenDrops: drops = 0 } = facts.counters ?? {}
      if (overflows === 0) return undefined
      return {
        what: `${shown(overflows)} overflows and ${shown(drops)} drops in total since this network namespace was created.${waitingNow(facts)}`,
        ...longerQueues(facts),
      }
    },
  },
  {
    code: 'syn-queue-full',
    severity: 'warning',
    title: 'A listening socket had more handshakes under way than its limit',
    when: 'TcpExtTCPReqQFullDoCookies or TcpExtTCPReqQFullDrop is above 0.',
    why: 'Further SYNs are dropped or answered with SYN cookies, which preserve TCP options only by timestamps. The cause is a SYN flood, or a backlog too short for distant clients.',
    sets: [SOMAXCONN],
    remedy: BACKLOG_REMEDY,
    risk: 'Memory for the handshakes that a flood leaves open.',
    source: 'listen(2); net/ipv4/tcp_input.c tcp_conn_request()',
    find: (facts) => {
      const { TCPReqQFullDoCookies: cookies = 0, TCPReqQFullDrop: drops = 0 } = facts.counters ?? {}
      if (cookies + drops === 0) return undefined
      return {
        what: `${shown(cookies)} SYN cookies were sent because of this, and ${shown(drops)} SYNs were dropped.`,
        ...longerQueues(facts),
      }
    },
  },
  {
    code: 'syncookies-off',
    severity: 'advice',
    title: 'A SYN flood can keep clients out',
    when: 'net.ipv4.tcp_syncookies is 0.',
    why: 'When the queue of handshakes is full, SYNs are dropped. With SYN cookies the server still answers, without state for clients that never reply.',
    sets: [SYNCOOKIES],
    risk: 'None while no queue is full.',
    source: 'tcp(7) tcp_syncookies; RFC 4987 section 3.6',
    find: ({ sysctls = {} }) =>
      sysctls[SYNCOOKIES] === 0
        ? { what: `${SYNCOOKIES} is 0.`, set: [setting(SYNCOOKIES, 1)] }
        : undefined,
  },
  {
    code: 'abort-on-overflow',
    severity: 'warning',
    title: 'Clients are reset when an accept queue is full',
    when: 'net.ipv4.tcp_abort_on_overflow is 1.',
    why: 'A short burst causes errors at the clients (ECONNRESET). By default they would try again and connect a second later.',
    sets: [ABORT],
    risk: 'A service that stays overloaded answers late instead of refusing.',
    source: 'tcp(7) tcp_abort_on_overflow',
    find: ({ sysctls = {} }) =>
      sysctls[ABORT] === 1 ? { what: `${ABORT} is 1.`, set: [setting(ABORT, 0)] } : undefined,
  },
  {
    code: 'migrate-req-off',
    severity: 'advice',
    title: 'Closing one of several SO_REUSEPORT listeners loses connections',
    when: 'Several sockets listen on one address and port, and net.ipv4.tcp_migrate_req is 0.',
    why: 'When a listening socket is closed, for example by the restart of a worker, the connections in its queue are reset. With 1 they move to another socket of the group.',
    sets: [MIGRATE],
    remedy: 'Or keep the listening sockets open when workers end, as `prefork()` does.',
    risk: 'If the sockets of the group have different options, a connection may move to one with other options than it negotiated.',
    source: 'Documentation/networking/ip-sysctl.rst tcp_migrate_req',
    find: ({ sysctls = {}, listeners = [] }) => {
      const group = listeners.find(({ sockets }) => sockets > 1)
      if (sysctls[MIGRATE] !== 0 || group === undefined) return undefined
      return {
        what: `${String(group.sockets)} sockets listen on ${endpoint(group.address, group.port)}.`,
        set: [setting(MIGRATE, 1)],
      }
    },
  },
]

/** Raises net.core.somaxconn to its default if it is lower. */
function longerQueues({ sysctls = {} }: Facts): Pick<Found, 'set'> {
  const limit = sysctls[SOMAXCONN]
  if (limit === undefined || limit >= DEFAULT_SOMAXCONN) return {}
  return { set: [setting(SOMAXCONN, DEFAULT_SOMAXCONN)] }
}

function waitingNow({ listeners = [] }: Facts): string {
  const [most] = listeners.toSorted((a, b) => b.waiting - a.waiting)
  if (most === undefined || most.waiting === 0) return ''
  return ` ${shown(most.waiting)} connections wait on ${endpoint(most.address, most.port)} now.`
}
