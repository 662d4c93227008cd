/**
 * What connect(2) costs, measured without a connection: a socket with TCP_FASTOPEN_CONNECT and
 * TCP_FASTOPEN_NO_COOKIE gets its port in connect() and sends nothing before the first write, which
 * never comes (tcp_fastopen_defer_connect() of the kernel).
 */
import { constants as os } from 'node:os'
import { native } from '../kernel/binding'
import { fastOpenMayBeOff } from '../kernel/proc'
import type { IpFamily } from './address'
import { domainOf } from './open'

export interface Probe {
  /** Time that connect() held this thread, µs: the least of {@link TRIES}. Undefined without a port. */
  readonly microseconds: number | undefined
  /** There was no port: EADDRNOTAVAIL. */
  readonly exhausted: boolean
}

/** The others were held up by other work of the machine. */
const TRIES = 2
const QUICK_MICROSECONDS = 100
const MICROSECONDS = 1000

/**
 * @param source bound to with IP_BIND_ADDRESS_NO_PORT; undefined for what the kernel takes
 * @returns undefined where it cannot be measured: TCP Fast Open is off, or this is not Linux
 */
export function probeConnect(
  family: IpFamily,
  address: string,
  port: number,
  source: string | undefined,
): Probe | undefined {
  if (fastOpenMayBeOff()) return undefined
  let least = Infinity
  for (let tries = 0; tries < TRIES && least > QUICK_MICROSECONDS; tries++) {
    const fd = openDeferred(family, source)
    if (fd === undefined) return undefined
    const begun = performance.now()
    const result = native.connectFd(fd, address, port)
    const took = MICROSECONDS * (performance.now() - begun)
    native.closeFd(fd)
    if (result === -os.errno.EADDRNOTAVAIL) return { microseconds: undefined, exhausted: true }
    if (result < 0) return undefined
    least = Math.min(least, took)
  }
  return { microseconds: least, exhausted: false }
}

/** A socket whose connect() sends nothing; undefined where there is none. */
function openDeferred(family: IpFamily, source: string | undefined): number | undefined {
  const { SOCK_STREAM } = native.constants
  const domain = domainOf(family)
  if (domain === undefined || SOCK_STREAM === undefined) return undefined
  const fd = native.openSocket(domain, SOCK_STREAM, 0)
  if (fd < 0) return undefined
  if (isDeferred(fd) && isBound(fd, source)) return fd
  native.closeFd(fd)
  return undefined
}

function isDeferred(fd: number): boolean {
  const { IPPROTO_TCP, TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_NO_COOKIE } = native.constants
  return (
    IPPROTO_TCP !== undefined &&
    TCP_FASTOPEN_CONNECT !== undefined &&
    TCP_FASTOPEN_NO_COOKIE !== undefined &&
    native.setInt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1) >= 0 &&
    native.setInt(fd, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1) >= 0
  )
}

function isBound(fd: number, source: string | undefined): boolean {
  if (source === undefined) return true
  const { IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT } = native.constants
  return (
    IPPROTO_IP !== undefined &&
    IP_BIND_ADDRESS_NO_PORT !== undefined &&
    native.setInt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1) >= 0 &&
    native.bindFd(fd, source, 0) >= 0
  )
}
