/** Reads the ports and limits of this network namespace from /proc. Linux. */
import { readFileSync } from 'node:fs'

export const MAX_PORT = 65535

/** A range of ports, both bounds included. As an option value, `{ min: 0, max: 0 }` restores the system's range. */
export interface PortRange {
  min: number
  max: number
}

/** The duration of TIME_WAIT, in seconds: TCP_TIMEWAIT_LEN of net/tcp.h, a constant of the kernel. */
export const TIME_WAIT_S = 60

/** Reads a file of /proc: {@link contentOf}, or {@link contentOrThrow} if a failure must differ from an absent file. */
export type ProcReader = (file: string) => string

/** net.ipv4.ip_local_port_range, which applies to IPv6 too (ip(7)); undefined without /proc. */
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

/** net.ipv4.tcp_tw_reuse_delay, ms (Linux 6.14). Undefined on older kernels, where the delay is 1,000 ms. */
export function timeWaitReuseDelay(read?: ProcReader): number | undefined {
  return numbersIn('tcp_tw_reuse_delay', read)[0]
}

/** net.ipv4.tcp_timestamps: 0 off, 1 and 2 on (RFC 7323; ip-sysctl.rst of the kernel). */
export function timestampsSetting(read?: ProcReader): number | undefined {
  return numbersIn('tcp_timestamps', read)[0]
}

/**
 * net.ipv4.ip_local_reserved_ports: ports that connect(2), and bind(2) to port 0, never choose. Empty if there are
 * none, undefined if the file cannot be read.
 */
export function reservedPorts(read: ProcReader = contentOf): PortRange[] | undefined {
  const text = read('/proc/sys/net/ipv4/ip_local_reserved_ports')
  // An empty list is an empty line; a missing file has no line.
  return text === '' ? undefined : parsePortList(text)
}

/** Parses a port list of the kernel: `8080,9148-9150`. */
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
 * Whether connect() may ignore TCP Fast Open: because net.ipv4.tcp_fastopen lacks the client bit, or because the
 * kernel may disable it for a time when it suspects a firewall (net.ipv4.tcp_fastopen_blackhole_timeout_sec; 0
 * means never).
 */
export function fastOpenMayBeOff(): boolean {
  const [setting = 0] = numbersIn('tcp_fastopen')
  const [timeout = 0] = numbersIn('tcp_fastopen_blackhole_timeout_sec')
  return (setting & FAST_OPEN_CLIENT) === 0 || timeout > 0
}

/** net.core.somaxconn: the upper limit of the backlog of listen(2). */
export function listenBacklogLimit(): number | undefined {
  return numbersIn('somaxconn', contentOf, 'core')[0]
}

/** Sockets in TIME_WAIT, IPv4 and IPv6 together (proc_pid_net(5), sockstat). */
export function timeWaitTotal(): number | undefined {
  const found = /^TCP: .* tw (\d+)/m.exec(contentOf('/proc/net/sockstat'))?.[1]
  return found === undefined ? undefined : Number(found)
}

const FAST_OPEN_CLIENT = 1

/** Returns the number of ports in a range. */
export function sizeOf({ min, max }: PortRange): number {
  return max - min + 1
}

function numbersIn(sysctl: string, read: ProcReader = contentOf, group = 'ipv4'): number[] {
  const text = read(`/proc/sys/net/${group}/${sysctl}`).trim()
  return text === '' ? [] : text.split(/\s+/).map(Number)
}

/** Returns the content of a file; empty if it does not exist or cannot be read. */
export function contentOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

/** The errors of open(2) for a file that does not exist for this process. */
const absent: readonly unknown[] = ['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM']

/**
 * Returns the content of a file; empty if it does not exist.
 *
 * @throws the error of readFileSync() if the file may exist, for example EMFILE
 */
export function contentOrThrow(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (absent.includes((error as NodeJS.ErrnoException).code)) return ''
    throw error
  }
}
