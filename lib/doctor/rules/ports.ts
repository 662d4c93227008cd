/** Rules about ephemeral ports: their number, and what occupies them. */
import { endpoint } from '../../connect/address'
import { sizeOf, TIME_WAIT_S, type PortRange } from '../../kernel/proc'
import { shareTaken } from '../../ports/budget'
import type { Facts } from '../facts'
import {
  DEFAULT_PORTS,
  WIDE_ENOUGH,
  advisedRange,
  fullest,
  listenersInside,
  portsPerDestination,
  rangeSetting,
  reserveSetting,
  reservedInside,
} from '../port-space'
import { RANGE, RESERVED } from '../facts/sysctls'
import { setting, shown, type Found, type Rule, type SysctlSetting } from '../rule'

const STEP_WIDTH = 'net.ipv4.ip_local_port_step_width'

const NEARLY_FULL = 0.9
const HALF = 0.5
const REMEDY =
  "Reuse connections, let the peer close first, close with mode 'deliver', or use more source addresses (`SourcePool`) or destination ports."

export const portRules: readonly Rule[] = [
  {
    code: 'destination-nearly-full',
    severity: 'critical',
    title: 'Nearly all ports for a destination are in use',
    when: 'At least 90 % of the ephemeral ports from one source address to one destination are in use, as counted by `portBudget()`. Ports outside of the range do not count, nor do ports in TIME_WAIT that tcp_tw_reuse lets connect() reuse now.',
    why: 'When the last port is in use, connect() fails with EADDRNOTAVAIL. Before that, each connect() searches for a free port on the event loop, which takes thirty times as long as at first.',
    sets: [RANGE, RESERVED],
    remedy: REMEDY,
    risk: 'A wider range may include the ports of services that are not running yet. Reserve those ports.',
    source: 'ip(7) ip_local_port_range; net/ipv4/inet_hashtables.c __inet_hash_connect()',
    find: (facts) => filled(facts, NEARLY_FULL, Infinity),
  },
  {
    code: 'destination-slow-half',
    severity: 'warning',
    title: 'Half of the ports for a destination are in use, and connect() becomes slow',
    when: 'At least 50 % and less than 90 % of these ports are in use.',
    why: 'The kernel assigns the ports of one parity first. When those are used up, every connect() searches all of them before it tries the other half, which takes 500 to 1,000 µs instead of 17 µs and causes no error.',
    sets: [RANGE, RESERVED],
    remedy: `${REMEDY} On Linux 6.8 and later, this library's connect() finds every port equally fast, as does any socket with IP_LOCAL_PORT_RANGE set to the whole range.`,
    risk: 'A wider range may include the ports of services that are not running yet. Reserve those ports.',
    source: 'net/ipv4/inet_hashtables.c __inet_hash_connect()',
    find: (facts) => filled(facts, HALF, NEARLY_FULL),
  },
  {
    code: 'port-range-narrow',
    severity: 'warning',
    title: "The ephemeral port range is narrower than Linux's default",
    when: 'net.ipv4.ip_local_port_range has fewer than 28,232 ports.',
    why: 'The size of the range limits the connections from one source address to one destination, including those in TIME_WAIT.',
    sets: [RANGE, RESERVED],
    remedy: REMEDY,
    risk: 'Ports below 32768 may belong to services that are not running yet. Reserve those ports.',
    source: 'ip(7) ip_local_port_range',
    find: (facts) => ceiling(facts, 0, DEFAULT_PORTS),
  },
  {
    code: 'port-range-default',
    severity: 'info',
    title: 'The ephemeral port range can be widened',
    when: 'net.ipv4.ip_local_port_range has at least 28,232 ports, the default, and fewer than 50,000.',
    why: 'The size of the range limits the connections from one source address to one destination, including those in TIME_WAIT. The default is enough for most programs.',
    sets: [RANGE, RESERVED],
    remedy: REMEDY,
    risk: 'Ports below 32768 may belong to services that are not running yet. Reserve those ports.',
    source: 'ip(7) ip_local_port_range',
    find: (facts) => ceiling(facts, DEFAULT_PORTS, WIDE_ENOUGH),
  },
  {
    code: 'port-range-parity',
    severity: 'info',
    title: 'Both ends of the ephemeral port range are even, or both are odd',
    when: 'The ends of net.ipv4.ip_local_port_range have the same parity.',
    why: 'connect() searches the ports of one parity and then those of the other, over an even number of ports. With ends of the same parity one port is left over: the first port of the range cannot be used for some destinations. The kernel logs a warning when such a range is set.',
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
    title: 'A service listens on an ephemeral port',
    when: 'A listening socket has a port of the range, and the port is not reserved.',
    why: 'While the service is stopped, an outgoing connection may get its port. The service then cannot start (EADDRINUSE) until that connection and its TIME_WAIT entry have ended. While the service runs, outgoing connections cannot use the port.',
    sets: [RESERVED],
    risk: 'None: a program that names a reserved port still gets it. Leave out ports that the kernel assigned to a service.',
    source: 'Documentation/networking/ip-sysctl.rst ip_local_reserved_ports',
    find: (facts) => {
      const inside = listenersInside(facts)
      if (facts.portRange === undefined || inside.length === 0) return undefined
      const names = inside.slice(0, 5).map(({ address, port }) => endpoint(address, port))
      const more = inside.length > names.length ? ' and others' : ''
      const reserve = reserveSetting(facts)
      return {
        what: `${names.join(', ')}${more} are within ${ends(facts.portRange)}.`,
        set: defined(reserve),
      }
    },
  },
  {
    code: 'reserved-in-range',
    severity: 'info',
    title: 'Reserved ports lower the number of connections per destination',
    when: 'net.ipv4.ip_local_reserved_ports contains ephemeral ports.',
    why: 'Neither connect() nor bind() to port 0 uses a reserved port.',
    source: 'Documentation/networking/ip-sysctl.rst ip_local_reserved_ports',
    find: (facts) => {
      const reserved = reservedInside(facts).reduce((sum, range) => sum + sizeOf(range), 0)
      const left = portsPerDestination(facts)
      if (reserved === 0 || left === undefined || facts.portRange === undefined) return undefined
      return {
        what: `${shown(reserved)} of the ${shown(sizeOf(facts.portRange))} ports are reserved; ${shown(left)} are left for a destination.`,
      }
    },
  },
  {
    code: 'port-step-width',
    severity: 'info',
    title: 'The port after a block of reserved ports is assigned more often than others',
    when: 'net.ipv4.ip_local_port_step_width exists and is 0, and at least 8 consecutive ports of the range are reserved.',
    why: 'connect() starts its search at a random port and continues port by port. Every search that starts inside the block ends right after it. Firewalls and NAT that reject early reuse of a port then drop connections.',
    sets: [STEP_WIDTH],
    risk: 'Each search is slower when nearly all ports are in use.',
    source: 'Documentation/networking/ip-sysctl.rst ip_local_port_step_width',
    find: (facts) => {
      if (facts.sysctls?.[STEP_WIDTH] !== 0) return undefined
      const block = Math.max(0, ...reservedInside(facts).map(sizeOf))
      if (block < 8) return undefined
      return {
        what: `${shown(block)} consecutive ports are reserved, and net.ipv4.ip_local_port_step_width is 0.`,
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
    reusable === 0 ? '' : ` (${shown(reusable)} of these can be reused and do not count)`
  return {
    what: `From ${localAddress} to ${endpoint(remoteAddress, remotePort)}: ${shown(ports - available)} of ${shown(ports)} ports are in use; ${shown(timeWait)} are in TIME_WAIT${again}.`,
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
    what: `${ends(portRange)}: ${shown(ports)} ports for each source address and destination. If each close leaves ${String(TIME_WAIT_S)} s of TIME_WAIT, that is ${shown(Math.floor(ports / TIME_WAIT_S))} connections/s.`,
    ...widening(facts),
  }
}

/** A wider range, and a reservation of its ports that services use. */
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
