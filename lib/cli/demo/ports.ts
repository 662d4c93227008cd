/** Which ports the client has, and which of them are taken: from /proc, so on Linux only. */
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { native } from '../../binding'
import { openSocket } from '../../connect/open'
import type { PortRange } from '../../index'
import { prepareSettings, type PreparedSettings } from '../../options/tune'

/** How many ports are left to the client where it has no namespace of its own: few, so that they run out. */
const NARROW = 1_000

const STATE_TIME_WAIT = '06'

/** net.ipv4.ip_local_port_range; null where there is no /proc. */
export function systemPorts(): PortRange | null {
  const [min, max] = numbersIn('ip_local_port_range')
  return min === undefined || max === undefined ? null : { min, max }
}

/** net.ipv4.tcp_tw_reuse: 0 off, 1 on, 2 on loopback only. */
export function timeWaitReuse(): number | null {
  return numbersIn('tcp_tw_reuse')[0] ?? null
}

function numbersIn(sysctl: string): number[] {
  try {
    return readFileSync(`/proc/sys/net/ipv4/${sysctl}`, 'utf8').trim().split(/\s+/).map(Number)
  } catch {
    return []
  }
}

export function sizeOf({ min, max }: PortRange): number {
  return max - min + 1
}

/** A part of `all` that has none of the server's ports in it, since no client can have those. */
export function narrowRange(all: PortRange, taken: readonly number[]): PortRange {
  for (let min = all.min; min + NARROW - 1 <= all.max; min += NARROW) {
    const max = min + NARROW - 1
    if (!taken.some((port) => port >= min && port <= max)) return { min, max }
  }
  return all
}

/** Settings that keep a client to these ports; undefined where the kernel lacks IP_LOCAL_PORT_RANGE. */
export function confinement(ports: PortRange): PreparedSettings | undefined {
  const settings = prepareSettings({ IP_LOCAL_PORT_RANGE: ports })
  const { fd, report } = openSocket(4, settings)
  native.closeFd(fd)
  return report.IP_LOCAL_PORT_RANGE.status === 'applied' ? settings : undefined
}

/** What connections to one server port have left behind. */
export interface Leftovers {
  /** TIME_WAIT entries, whichever end keeps them. */
  readonly timeWait: number
  /** Client ports that a new connection to that port cannot have. */
  readonly used: number
}

/** Null where there is no /proc/net/tcp. */
export async function leftoversOf(serverPort: number, ports: PortRange): Promise<Leftovers | null> {
  let table: string
  try {
    table = await readFile('/proc/net/tcp', 'latin1')
  } catch {
    return null
  }
  let timeWait = 0
  const used = new Set<number>()
  for (const line of table.split('\n').slice(1)) {
    // sl local_address rem_address st …, addresses and ports in hexadecimal (proc_pid_net(5))
    const [, local = '', remote = '', state] = line.trim().split(/\s+/, 4)
    const localPort = portOf(local)
    const remotePort = portOf(remote)
    if (localPort !== serverPort && remotePort !== serverPort) continue
    if (state === STATE_TIME_WAIT) timeWait++
    if (remotePort === serverPort && localPort >= ports.min && localPort <= ports.max)
      used.add(localPort)
  }
  return { timeWait, used: used.size }
}

function portOf(address: string): number {
  return Number.parseInt(address.slice(address.indexOf(':') + 1), 16)
}
