/** What this network namespace says of its ports and limits, from /proc: on Linux only. */
import { readFileSync } from 'node:fs'

/** Both ends are included; `{ min: 0, max: 0 }` takes the range of the namespace again. */
export interface PortRange {
  min: number
  max: number
}

/** Seconds that an entry stays in TIME_WAIT: TCP_TIMEWAIT_LEN of net/tcp.h, which no setting changes. */
export const TIME_WAIT_S = 60

/** Reads a file of /proc: {@link contentOf}, or {@link contentOrThrow} where a failure must not look like an absent file. */
export type ProcReader = (file: string) => string

/** net.ipv4.ip_local_port_range, for IPv6 too (ip(7)); undefined where there is no /proc. */
export function systemPortRange(read?: ProcReader): PortRange | undefined {
  const [min, max] = numbersIn('ip_local_port_range', read)
  return min === undefined || max === undefined ? undefined : { min, max }
}

/** net.ipv4.ip_unprivileged_port_start: ports below it need CAP_NET_BIND_SERVICE (ip(7)), for IPv6 too. */
export function unprivilegedPortStart(read?: ProcReader): number | undefined {
  return numbersIn('ip_unprivileged_port_start', read)[0]
}

/** net.ipv4.tcp_tw_reuse: 0 off, 1 on, 2 on loopback only (tcp(7)). */
export function timeWaitReuse(read?: ProcReader): number | undefined {
  return numbersIn('tcp_tw_reuse', read)[0]
}

/** net.ipv4.tcp_tw_reuse_delay, ms (Linux 6.14); undefined before: 1,000 there. */
export function timeWaitReuseDelay(read?: ProcReader): number | undefined {
  return numbersIn('tcp_tw_reuse_delay', read)[0]
}

/** net.ipv4.tcp_timestamps: 0 off, 1 and 2 on (RFC 7323; ip-sysctl.rst of the kernel). */
export function timestampsSetting(read?: ProcReader): number | undefined {
  return numbersIn('tcp_timestamps', read)[0]
}

/**
 * net.ipv4.ip_local_reserved_ports: ports of the range that neither connect(2) nor bind(2) to port 0
 * takes by itself. Empty where there are none, undefined where it cannot be read.
 */
export function reservedPorts(read: ProcReader = contentOf): PortRange[] | undefined {
  const text = read('/proc/sys/net/ipv4/ip_local_reserved_ports')
  // An empty value is a line of its own; no file is no line.
  return text === '' ? undefined : parsePortList(text)
}

/** `8080,9148-9150`, as the kernel prints it. */
export function parsePortList(text: string): PortRange[] {
  return text
    .trim()
    .split(',')
    .filter((part) => part !== '')
    .map((part) => {
      const [min = 0, max = min] = part.split('-').map(Number)
      return { min, max }
    })
}

/**
 * Whether a connect() by TCP Fast Open may be an ordinary one: net.ipv4.tcp_fastopen lacks the client's
 * bit, or the kernel turns it off for a time when it suspects a firewall
 * (net.ipv4.tcp_fastopen_blackhole_timeout_sec, 0 for never).
 */
export function fastOpenMayBeOff(): boolean {
  const [setting = 0] = numbersIn('tcp_fastopen')
  const [timeout = 0] = numbersIn('tcp_fastopen_blackhole_timeout_sec')
  return (setting & FAST_OPEN_CLIENT) === 0 || timeout > 0
}

/** net.core.somaxconn: the most connections that may wait to be accepted, whatever listen(2) is told. */
export function listenBacklogLimit(): number | undefined {
  return numbersIn('somaxconn', contentOf, 'core')[0]
}

/** Sockets in TIME_WAIT, IPv4 and IPv6 together (proc_pid_net(5), sockstat). */
export function timeWaitTotal(): number | undefined {
  const found = /^TCP: .* tw (\d+)/m.exec(contentOf('/proc/net/sockstat'))?.[1]
  return found === undefined ? undefined : Number(found)
}

const FAST_OPEN_CLIENT = 1

/** How many ports a range has. */
export function sizeOf({ min, max }: PortRange): number {
  return max - min + 1
}

function numbersIn(sysctl: string, read: ProcReader = contentOf, group = 'ipv4'): number[] {
  const text = read(`/proc/sys/net/${group}/${sysctl}`).trim()
  return text === '' ? [] : text.split(/\s+/).map(Number)
}

/** A file of /proc; empty where there is none, or where it cannot be read. */
export function contentOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

/** The errno names by which open(2) says that there is no such file for this process. */
const absent: readonly unknown[] = ['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM']

/**
 * A file of /proc; empty where there is none.
 *
 * @throws what readFileSync() throws where the file may well be there, as EMFILE
 */
export function contentOrThrow(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (absent.includes((error as NodeJS.ErrnoException).code)) return ''
    throw error
  }
}
