/** Rules on ephemeral ports: how many there are, and who takes them. */
import { endpoint } from '../../connect/address'
import { sizeOf, TIME_WAIT_S } from '../../kernel/proc'
import type { PortRange } from '../../options/values'
import { shareTaken } from '../../ports/budget'
import type { Facts } from '../facts'
import {
  DEFAULT_PORTS,
  RANGE,
  RESERVED,
  advisedRange,
  fullest,
  listenersInside,
  portsPerDestination,
  rangeSetting,
  reserveSetting,
  reservedInside,
} from '../port-space'
import { setting, shown, type Found, type Rule, type SysctlSetting } from '../rule'

const STEP_WIDTH = 'net.ipv4.ip_local_port_step_width'

const NEARLY_FULL = 0.9
const HALF = 0.5
/** Above this the range is as wide as most hosts can have it. */
const WIDE_ENOUGH = 50_000
const REMEDY =
  "Keep connections open and use them again; let the peer close first; close with mode 'deliver'; more source addresses (`SourcePool`), or more destination ports."

export const portRules: readonly Rule[] = [
  {
    code: 'destination-nearly-full',
    severity: 'critical',
    title: 'The ports to a destination are nearly all taken',
    when: '90 % or more of the ephemeral ports from one source address to one destination are taken, as `portBudget()` counts them: ports outside of the range are not counted, nor those in TIME_WAIT that tcp_tw_reuse lets connect() take now.',
    why: 'When the last one is taken, connect() fails with EADDRNOTAVAIL. Before that each connect() searches for a free port on the event loop, thirty times as long as at first.',
    sets: [RANGE, RESERVED],
    remedy: REMEDY,
    risk: 'A wider range may take ports that services want which are not started yet: reserve those.',
    source: 'ip(7) ip_local_port_range; net/ipv4/inet_hashtables.c __inet_hash_connect()',
    find: (facts) => filled(facts, NEARLY_FULL, Infinity),
  },
  {
    code: 'destination-slow-half',
    severity: 'warning',
    title: 'Half of the ports to a destination are taken: connect() becomes slow',
    when: 'Half or more of these ports are taken, and less than 90 %.',
    why: 'The kernel gives out the ports of one parity first, each at once. When these are taken, every connect() looks through all of them before it tries the other half: 500 to 1,000 µs in place of 17 µs, with no error.',
    sets: [RANGE, RESERVED],
    remedy: `${REMEDY} On Linux 6.8 and later connect() of this library, or IP_LOCAL_PORT_RANGE set to the whole range, takes all ports at the same speed.`,
    risk: 'A wider range may take ports that services want which are not started yet: reserve those.',
    source: 'net/ipv4/inet_hashtables.c __inet_hash_connect()',
    find: (facts) => filled(facts, HALF, NEARLY_FULL),
  },
  {
    code: 'port-range-narrow',
    severity: 'warning',
    title: 'The ephemeral port range is narrower than Linux makes it',
    when: 'net.ipv4.ip_local_port_range has fewer than 28,232 ports.',
    why: 'The range is the ceiling of connections from one source address to one destination, TIME_WAIT included.',
    sets: [RANGE, RESERVED],
    remedy: REMEDY,
    risk: 'Ports below 32768 may be wanted by services that are not started yet: reserve those.',
    source: 'ip(7) ip_local_port_range',
    find: (facts) => ceiling(facts, 0, DEFAULT_PORTS),
  },
  {
    code: 'port-range-default',
    severity: 'info',
    title: 'The ephemeral port range can be widened',
    when: 'net.ipv4.ip_local_port_range has 28,232 ports, the default, or more, and fewer than 50,000.',
    why: 'The range is the ceiling of connections from one source address to one destination, TIME_WAIT included. For most programs the default is enough.',
    sets: [RANGE, RESERVED],
    remedy: REMEDY,
    risk: 'Ports below 32768 may be wanted by services that are not started yet: reserve those.',
    source: 'ip(7) ip_local_port_range',
    find: (facts) => ceiling(facts, DEFAULT_PORTS, WIDE_ENOUGH),
  },
  {
    code: 'port-range-parity',
    severity: 'info',
    title: 'Both ends of the ephemeral port range are even, or both odd',
    when: 'The ends of net.ipv4.ip_local_port_range have the same parity.',
    why: 'connect() goes through the ports of one parity and then of the other, in steps of two over an even number of ports. With ends of the same parity one port is left over: to some destinations the first port of the range cannot be had. The kernel logs a warning when such a range is set.',
    sets: [RANGE],
    source:
      'Documentation/networking/ip-sysctl.rst ip_local_port_range; net/ipv4/inet_hashtables.c',
    find: ({ portRange }) => {
      if (portRange === undefined || sizeOf(portRange) % 2 === 0) return undefined
      return {
        what: `net.ipv4.ip_local_port_range is ${ends(portRange)}.`,
        set: [rangeSetting(advisedRange(portRange))],
      }
    },
  },
  {
    code: 'listener-in-range',
    severity: 'advice',
    title: 'A service listens on a port of the ephemeral range',
    when: 'A listening socket has a port of the range that is not reserved.',
    why: 'While the service is stopped, an outgoing connection may be given its port: then it cannot start (EADDRINUSE) until that connection has ended and, where it closed first, its TIME_WAIT too. While it runs, the port is lost to outgoing connections.',
    sets: [RESERVED],
    risk: 'None; a reserved port is still there for who asks for it by number. Leave out what was given its port by the kernel.',
    source: 'Documentation/networking/ip-sysctl.rst ip_local_reserved_ports',
    find: (facts) => {
      const inside = listenersInside(facts)
      if (facts.portRange === undefined || inside.length === 0) return undefined
      const names = inside.slice(0, 5).map(({ address, port }) => endpoint(address, port))
      const more = inside.length > names.length ? ' and others' : ''
      const reserve = reserveSetting(facts)
      return {
        what: `${names.join(', ')}${more} within ${ends(facts.portRange)}.`,
        set: defined(reserve),
      }
    },
  },
  {
    code: 'reserved-in-range',
    severity: 'info',
    title: 'Reserved ports lower the ceiling of connections per destination',
    when: 'net.ipv4.ip_local_reserved_ports has ports of the ephemeral range.',
    why: 'Neither connect() nor bind() without a port takes a reserved port.',
    source: 'Documentation/networking/ip-sysctl.rst ip_local_reserved_ports',
    find: (facts) => {
      const reserved = reservedInside(facts).reduce((sum, range) => sum + sizeOf(range), 0)
      const left = portsPerDestination(facts)
      if (reserved === 0 || left === undefined || facts.portRange === undefined) return undefined
      return {
        what: `${shown(reserved)} of the ${shown(sizeOf(facts.portRange))} ports are reserved; a destination has ${shown(left)}.`,
      }
    },
  },
  {
    code: 'port-step-width',
    severity: 'info',
    title: 'The port behind a block of reserved ports is given out more often than others',
    when: 'net.ipv4.ip_local_port_step_width is there and 0, and 8 or more neighbouring ports of the range are reserved.',
    why: 'connect() begins its search anywhere and goes on port by port: each search that begins within the block ends behind it. Firewalls and NAT that do not like a port to come again soon then drop connections.',
    sets: [STEP_WIDTH],
    risk: 'With nearly all ports in use each search is slower.',
    source: 'Documentation/networking/ip-sysctl.rst ip_local_port_step_width',
    find: (facts) => {
      if (facts.sysctls?.[STEP_WIDTH] !== 0) return undefined
      const block = Math.max(0, ...reservedInside(facts).map(sizeOf))
      if (block < 8) return undefined
      return {
        what: `${shown(block)} neighbouring ports are reserved and net.ipv4.ip_local_port_step_width is 0.`,
        set: [setting(STEP_WIDTH, 4 * block)],
      }
    },
  },
]

function filled(facts: Facts, from: number, below: number): Found | undefined {
  const most = fullest(facts)
  if (most === undefined) return undefined
  const share = shareTaken(most)
  if (share < from || share >= below) return undefined
  const { localAddress, remoteAddress, remotePort, ports, available, timeWait, reusable } = most
  const again =
    reusable === 0 ? '' : ` (${shown(reusable)} of these can be used again and are not counted)`
  return {
    what: `From ${localAddress} to ${endpoint(remoteAddress, remotePort)}: ${shown(ports - available)} of ${shown(ports)} ports are taken; ${shown(timeWait)} are in TIME_WAIT${again}.`,
    ...widening(facts),
  }
}

function ceiling(facts: Facts, from: number, below: number): Found | undefined {
  const { portRange } = facts
  const ports = portsPerDestination(facts)
  if (portRange === undefined || ports === undefined) return undefined
  const size = sizeOf(portRange)
  if (size < from || size >= below) return undefined
  return {
    what: `${ends(portRange)}: ${shown(ports)} ports for each source address and destination. Where each is left in TIME_WAIT for ${String(TIME_WAIT_S)} s, that is ${shown(Math.floor(ports / TIME_WAIT_S))} connections/s.`,
    ...widening(facts),
  }
}

/** A wider range, and the ports of it that services have. */
function widening(facts: Facts): Pick<Found, 'set'> {
  const { portRange } = facts
  if (portRange === undefined) return {}
  const range = advisedRange(portRange)
  if (range.min === portRange.min && range.max === portRange.max) return {}
  return { set: [rangeSetting(range), ...defined(reserveSetting(facts))] }
}

function defined(one: SysctlSetting | undefined): SysctlSetting[] {
  return one === undefined ? [] : [one]
}

function ends({ min, max }: PortRange): string {
  return `${String(min)} to ${String(max)}`
}
