/** Rules on listening sockets: their queues, and what becomes of connections that find them full. */
import { endpoint } from '../../connect/address'
import type { Facts } from '../facts'
import { setting, shown, type Found, type Rule } from '../rule'

const SOMAXCONN = 'net.core.somaxconn'
const SYNCOOKIES = 'net.ipv4.tcp_syncookies'
const ABORT = 'net.ipv4.tcp_abort_on_overflow'
const MIGRATE = 'net.ipv4.tcp_migrate_req'

/** Since Linux 5.4; 128 before. */
const DEFAULT_SOMAXCONN = 4_096
const BACKLOG_REMEDY =
  "Give listen() a longer backlog (Node's is 511): `listen(server, { backlog })`. net.core.somaxconn must be as long. Accept faster: an event loop that is busy accepts nothing; `prefork()` has one for each worker."

export const listenRules: readonly Rule[] = [
  {
    code: 'somaxconn-low',
    severity: 'advice',
    title: 'Listening sockets have short accept queues',
    when: 'net.core.somaxconn is below 4,096, the default since Linux 5.4.',
    why: 'listen(2) cuts every backlog to it without a word. A burst of connections longer than that is dropped and comes again a second later.',
    sets: [SOMAXCONN],
    risk: 'Memory for connections that wait; a program must listen anew to have a longer queue.',
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
    title: 'Connections were dropped since an accept queue was full',
    when: 'TcpExtListenOverflows is above 0.',
    why: 'The client believes that it is connected, or sends its SYN again a second later and again: the server sees nothing of it, the clients a slow server.',
    sets: [SOMAXCONN],
    remedy: BACKLOG_REMEDY,
    risk: 'A longer queue turns lost connections into late answers; where clients give up earlier, it helps nobody.',
    source: 'listen(2); net/ipv4/tcp_ipv4.c tcp_v4_syn_recv_sock()',
    find: (facts) => {
      const { ListenOverflows: overflows = 0, ListenDrops: drops = 0 } = facts.counters ?? {}
      if (overflows === 0) return undefined
      return {
        what: `${shown(overflows)} overflows, ${shown(drops)} drops in all, since this network namespace was made.${waitingNow(facts)}`,
        ...longerQueues(facts),
      }
    },
  },
  {
    code: 'syn-queue-full',
    severity: 'warning',
    title: 'More handshakes were under way than a listening socket may have',
    when: 'TcpExtTCPReqQFullDoCookies or TcpExtTCPReqQFullDrop is above 0.',
    why: 'Further SYNs are answered with cookies, which keep TCP options only where timestamps carry them, or are dropped. It is a SYN flood, or a backlog too short for clients that are far away.',
    sets: [SOMAXCONN],
    remedy: BACKLOG_REMEDY,
    risk: 'Memory for handshakes that a flood leaves open.',
    source: 'listen(2); net/ipv4/tcp_input.c tcp_conn_request()',
    find: (facts) => {
      const { TCPReqQFullDoCookies: cookies = 0, TCPReqQFullDrop: drops = 0 } = facts.counters ?? {}
      if (cookies + drops === 0) return undefined
      return {
        what: `${shown(cookies)} times cookies were sent, ${shown(drops)} times a SYN was dropped.`,
        ...longerQueues(facts),
      }
    },
  },
  {
    code: 'syncookies-off',
    severity: 'advice',
    title: 'A SYN flood keeps clients out',
    when: 'net.ipv4.tcp_syncookies is 0.',
    why: 'Where the queue of handshakes is full, SYNs are dropped. With cookies the server goes on to answer and keeps no state for who never answers.',
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
    why: 'A short burst becomes errors at the clients (ECONNRESET), where by default they try again and get in a second later.',
    sets: [ABORT],
    risk: 'A service that stays overloaded answers late where it refused before.',
    source: 'tcp(7) tcp_abort_on_overflow',
    find: ({ sysctls = {} }) =>
      sysctls[ABORT] === 1 ? { what: `${ABORT} is 1.`, set: [setting(ABORT, 0)] } : undefined,
  },
  {
    code: 'migrate-req-off',
    severity: 'advice',
    title: 'Closing one of several SO_REUSEPORT listeners loses connections',
    when: 'Several sockets listen on one address and port and net.ipv4.tcp_migrate_req is 0.',
    why: 'Connections that wait in the queue of a listening socket are reset when it is closed, as when a worker restarts. With 1 they go on to another socket of the group.',
    sets: [MIGRATE],
    remedy: 'Or keep the listening sockets open beyond their workers, as `prefork()` does.',
    risk: 'Sockets of the group with different options: a connection may end up at one that it was not agreed with.',
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

/** Where net.core.somaxconn is less than what it is by default. */
function longerQueues({ sysctls = {} }: Facts): Pick<Found, 'set'> {
  const limit = sysctls[SOMAXCONN]
  if (limit === undefined || limit >= DEFAULT_SOMAXCONN) return {}
  return { set: [setting(SOMAXCONN, DEFAULT_SOMAXCONN)] }
}

function waitingNow({ listeners = [] }: Facts): string {
  const [most] = listeners.toSorted((a, b) => b.waiting - a.waiting)
  if (most === undefined || most.waiting === 0) return ''
  return ` ${shown(most.waiting)} connections wait at ${endpoint(most.address, most.port)} now.`
}
