/** Which ports the client has, and which of them are taken: from /proc, so on Linux only. */
import { randomInt } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { endianness } from 'node:os'
import { native } from '../../kernel/binding'
import { openSocket } from '../../connect/open'
import type { PortRange } from '../../index'
import { prepareSettings, type PreparedSettings } from '../../options/tune'
import type { Endpoint } from './connections'

/** How many ports are left to the client where it has no namespace of its own: few, so that they run out. */
const NARROW = 1_000

const STATE_TIME_WAIT = '06'

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
export async function leftoversOf(server: Endpoint, ports: PortRange): Promise<Leftovers | null> {
  let table: string
  try {
    table = await readFile('/proc/net/tcp', 'latin1')
  } catch {
    return null
  }
  const address = asInTable(server)
  let timeWait = 0
  const used = new Set<number>()
  for (const line of table.split('\n').slice(1)) {
    // sl local_address rem_address st …, addresses and ports in hexadecimal (proc_pid_net(5))
    const [, local = '', remote = '', state] = line.trim().split(/\s+/, 4)
    if (local !== address && remote !== address) continue
    if (state === STATE_TIME_WAIT) timeWait++
    const port = Number.parseInt(local.slice(local.indexOf(':') + 1), 16)
    if (remote === address && port >= ports.min && port <= ports.max) used.add(port)
  }
  return { timeWait, used: used.size }
}

/** 127.0.0.1:80 as 0100007F:0050: the address is printed as a number of this machine. */
function asInTable({ host, port }: Endpoint): string {
  const bytes = Buffer.from(host.split('.').map(Number))
  const number = endianness() === 'LE' ? bytes.readUInt32LE() : bytes.readUInt32BE()
  const hex = (value: number, digits: number) =>
    value.toString(16).toUpperCase().padStart(digits, '0')
  return `${hex(number, 8)}:${hex(port, 4)}`
}

/**
 * An address for the server. Linux has all of 127.0.0.0/8 on loopback: with one of its own a demo
 * does not meet the TIME_WAIT entries of another one.
 */
export function serverHost(): string {
  if (process.platform !== 'linux') return '127.0.0.1'
  return ['127', randomInt(1, 255), randomInt(1, 255), randomInt(1, 255)].join('.')
}
