/**
 * Measures the cost of connect(2) without a connection. A socket with TCP_FASTOPEN_CONNECT and
 * TCP_FASTOPEN_NO_COOKIE is assigned its port in connect() and sends nothing before the first write, which
 * never happens here (tcp_fastopen_defer_connect() in net/ipv4/tcp_fastopen.c).
 */
import { constants as os } from 'node:os'
import { native } from '../kernel/binding'
import { fastOpenMayBeOff } from '../kernel/proc'
import type { IpFamily } from './address'
import { domainOf } from './open'

interface Probe {
  /** The duration of connect(), µs: the shortest of {@link TRIES}. Undefined if no port was free. */
  readonly microseconds: number | undefined
  /** No port was free: EADDRNOTAVAIL. */
  readonly exhausted: boolean
}

/** More than one, because other work of the machine can delay a single call. */
const TRIES = 2
const QUICK_MICROSECONDS = 100
const MICROSECONDS = 1000

/**
 * @param source the address to bind to, with IP_BIND_ADDRESS_NO_PORT; undefined: the kernel chooses
 * @returns undefined if the cost cannot be measured: TCP Fast Open is off, or this is not Linux
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

/** Opens a socket whose connect() sends nothing; returns undefined if that is not possible here. */
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
