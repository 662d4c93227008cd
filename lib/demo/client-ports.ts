/** The client's ports: chooses them, connects from them, and counts those in use. */
import { randomInt } from 'node:crypto'
import * as net from 'node:net'
import { RawSocket, SocketTunerError, type PortRange } from '../index'
import { countSockets, portBudget } from '../ports'

/** A server's address and port. */
export interface ServerAddress {
  readonly host: string
  readonly port: number
}

/** Ports of a client without a namespace of its own: few, so that they run out. */
const NARROW_SIZE = 1_000

export function portsIn({ min, max }: PortRange): number {
  return max - min + 1
}

/** Returns a part of `all` without any of the server's ports, which the client cannot use. */
export function narrowRange(all: PortRange, taken: readonly number[]): PortRange {
  for (let min = all.min; min + NARROW_SIZE - 1 <= all.max; min += NARROW_SIZE) {
    const max = min + NARROW_SIZE - 1
    if (!taken.some((port) => port >= min && port <= max)) return { min, max }
  }
  return all
}

/** Whether this kernel can confine a connection to a range of ports: IP_LOCAL_PORT_RANGE, Linux 6.3. */
export function canConfine(ports: PortRange): boolean {
  return isSupported(() => {
    RawSocket.open('IPv4', { IP_LOCAL_PORT_RANGE: ports }).close()
  })
}

/** @param confined the ports to connect from; undefined to let the kernel choose */
export function connectTo({ host, port }: ServerAddress, confined?: PortRange): net.Socket {
  if (confined === undefined) return net.connect({ port, host })
  return RawSocket.open('IPv4', { IP_LOCAL_PORT_RANGE: confined }).connect({ host, port })
}

/** The system's settings for connections to a server. */
interface PortSettings {
  readonly ports: PortRange
  /** net.ipv4.tcp_tw_reuse */
  readonly twReuse: number
}

/** Undefined where the library cannot count ports. */
export async function readPortSettings(server: ServerAddress): Promise<PortSettings | undefined> {
  const destination = { remoteAddress: server.host, remotePort: server.port }
  const budget = await ifSupported(portBudget(destination))
  return budget && { ports: budget.range, twReuse: budget.timeWaitReuse.setting }
}

/** The sockets that remain of connections to one server port. */
interface Leftovers {
  /** TIME_WAIT entries, at either end. */
  readonly timeWait: number
  /** Client ports that a new connection to that port cannot use. */
  readonly used: number
}

/** Undefined where the library cannot count sockets. */
export async function leftoversOf(
  { host, port }: ServerAddress,
  localPortRange: PortRange,
): Promise<Leftovers | undefined> {
  const atClient = { remoteAddress: host, remotePort: port, localPortRange }
  const client = await ifSupported(countSockets(atClient))
  const server = await ifSupported(
    countSockets({ localAddress: host, localPort: port, states: ['TIME_WAIT'] }),
  )
  if (client === undefined || server === undefined) return undefined
  const waiting = client.groups.find(({ state }) => state === 'TIME_WAIT')?.count ?? 0
  return { timeWait: waiting + server.total, used: client.total }
}

async function ifSupported<T>(promise: Promise<T>): Promise<T | undefined> {
  return promise.catch((error: unknown) => {
    if (isUnsupported(error)) return undefined
    throw error
  })
}

function isSupported(action: () => void): boolean {
  try {
    action()
    return true
  } catch (error) {
    if (isUnsupported(error)) return false
    throw error
  }
}

function isUnsupported(error: unknown): boolean {
  return error instanceof SocketTunerError && error.code === 'ERR_SOCKET_TUNER_UNSUPPORTED'
}

/**
 * Returns an address for the server. All of 127.0.0.0/8 is loopback on Linux: with an address of its own, a demo does
 * not share ports with the TIME_WAIT entries of an earlier one.
 */
export function serverHost(): string {
  if (process.platform !== 'linux') return '127.0.0.1'
  return ['127', randomInt(1, 255), randomInt(1, 255), randomInt(1, 255)].join('.')
}
