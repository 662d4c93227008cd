/**
 * The causes for which the kernel refuses to open, bind or connect a socket, with their fixes, by system call and
 * errno. An errno without an entry needs no explanation, for example ECONNREFUSED.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { networkInterfaces } from 'node:os'
import { native } from '../kernel/binding'
import type { ErrnoCode } from '../errors'
import { contentOf, unprivilegedPortStart } from '../kernel/proc'
import {
  addressBytes,
  addressText,
  isLinkLocal,
  isLoopback,
  plainAddress,
} from '../kernel/addresses'

/** A system call that was refused. */
export interface RefusedCall {
  /** The local address for bind(2), the destination for connect(2); absent for socket(2). */
  readonly address?: string
  readonly port?: number
  /** The source address of a connection, if the caller or a pool chose one. */
  readonly source?: string | undefined
  /** The descriptor, if there is one. */
  readonly fd?: number | undefined
  /** The failure came from the network, after connect(2) had returned. */
  readonly answered?: boolean
  readonly mptcp?: boolean
  /** SO_REUSEPORT was set. */
  readonly reusePort?: boolean
}

/** Returns the explanation, or an empty string if there is none. */
type Reason = (call: Required<Pick<RefusedCall, 'address' | 'port'>> & RefusedCall) => string

type RefusedSyscall = 'socket' | 'bind' | 'listen' | 'listenUnix' | 'connect'

type Reasons = Readonly<Partial<Record<ErrnoCode, Reason>>>

const onLinux = process.platform === 'linux'

const descriptors: Reasons = {
  EMFILE: () =>
    `this process has reached its limit of ${descriptorLimit()}open descriptors (RLIMIT_NOFILE). Remedies: ` +
    'close unused files and sockets; raise the limit, by `ulimit -n` in the shell, LimitNOFILE= in a ' +
    'systemd unit, or --ulimit nofile= on the command line of a container',
  ENFILE: () =>
    `this machine has reached its limit of ${fileLimit()}open files (${fileSysctl}). Remedy: raise ` +
    `${fileSysctl} by sysctl` +
    (onLinux ? '; `sysctl fs.file-nr` shows how many are open' : ''),
}

const socket: Reasons = {
  ...descriptors,
  EAFNOSUPPORT: () => 'this host has no IPv6 (ipv6.disable): use an IPv4 address',
  ENOPROTOOPT: ({ mptcp }) => (mptcp === true ? 'net.mptcp.enabled is 0' : ''),
  EPROTONOSUPPORT: ({ mptcp }) => (mptcp === true ? 'this kernel has no MPTCP' : ''),
  EACCES: () => sandbox('socket()'),
  EPERM: () => sandbox('socket()'),
}

const bind: Reasons = {
  EINVAL: ({ address, fd }) => (isBound(fd) ? 'the socket is already bound' : withoutZone(address)),
  EADDRNOTAVAIL: ({ address }) => `${address} is not an address of this host`,
  EADDRINUSE: ({ port }) =>
    port === 0
      ? 'bind() found no port that is free for all destinations; IP_BIND_ADDRESS_NO_PORT avoids that'
      : `another socket has port ${String(port)}; ${showOwner(port, '-tanp')}`,
  EACCES: ({ port }) => unprivilegedPorts(port),
}

/** Node reports a refused socket(2), bind(2) or listen(2) of a server as `listen`. */
const listen: Reasons = {
  ...socket,
  ...bind,
  EINVAL: ({ address }) => withoutZone(address),
  EADDRINUSE: ({ port, reusePort }) =>
    reusePort === true
      ? `another socket has this port without SO_REUSEPORT, or belongs to another user; ${showOwner(port, '-ltnp')}`
      : `another socket has this port; ${showOwner(port, '-ltnp')}`,
}

/** The same for the path of a unix-domain socket. */
const listenUnix: Reasons = {
  ...descriptors,
  EADDRINUSE: ({ address }) =>
    'a server listens on this path, or a killed server left the file behind' +
    (onLinux ? `; \`ss -xlp src ${address}\` shows which` : '') +
    '. Remove the file if no server listens',
  EACCES: () =>
    'this process may not create files in the directory, or the directory does not exist, which Node also reports as EACCES',
}

const connect: Reasons = {
  ...descriptors,
  ENETUNREACH: (call) => {
    const { address, answered } = call
    if (isForMany(address)) return forMany(address)
    if (answered === true)
      return `a router or a firewall on the path reported that it has no route to ${address} (ICMP)`
    const family = isIPv6(address) ? 'IPv6' : 'IPv4'
    const addresses = hasGlobalAddress(family)
      ? ''
      : `, and no ${family} address except link-local and loopback ones`
    return `this host has no route to ${address}${from(call)}${addresses}. ${showRoute(call)}`
  },
  EHOSTUNREACH: (call) => {
    const { address, source, answered } = call
    if (source !== undefined && isLoopback(source) && !isLoopback(address))
      return loopbackSource(address, source)
    return answered === true
      ? `${address}, or the gateway to it, does not answer on the link` +
          (onLinux ? ' (`ip neighbour` shows FAILED)' : '') +
          ', or a router or firewall on the path refused the connection (ICMP)'
      : `a route of type unreachable covers ${address}. ${showRoute(call)}`
  },
  EACCES: (call) => {
    const { address, port, answered } = call
    if (isForMany(address)) return forMany(address)
    return answered === true
      ? `a firewall on the path to ${address} forbids the connection (ICMPv6, administratively prohibited)`
      : `a route of type prohibit, or a sandbox of this process (Landlock, SELinux, AppArmor), forbids ` +
          `connections to ${address} port ${String(port)}. ${showRoute(call)}`
  },
  EPERM: () =>
    `${sandbox('connect()')}. It is not a firewall that drops packets: that causes ETIMEDOUT`,
  EINVAL: (call) => {
    const { address, source } = call
    if (source !== undefined && isLoopback(source) && !isLoopback(address))
      return loopbackSource(address, source)
    const zone = withoutZone(address)
    return zone === '' && onLinux
      ? `a route of type blackhole discards packets to ${address}. ${showRoute(call)}`
      : zone
  },
  ETIMEDOUT: ({ address, port }) =>
    `${address} port ${String(port)} answered none of the SYNs ` +
    '(TCP_SYNCNT, net.ipv4.tcp_syn_retries; TCP_USER_TIMEOUT). The host is down, a firewall drops the ' +
    'segments silently, or the accept queue of the listening socket is full',
}

const table: Readonly<Record<RefusedSyscall, Reasons>> = {
  socket,
  bind,
  listen,
  listenUnix,
  connect,
}

/** Returns `: ` and the explanation of an errno, for the end of a message; empty if there is none. */
export function reasonOf(syscall: RefusedSyscall, code: string, call: RefusedCall = {}): string {
  const reason = Object.hasOwn(table[syscall], code) ? table[syscall][code as ErrnoCode] : undefined
  const { address = '', port = 0 } = call
  const text = reason?.({ ...call, address, port }) ?? ''
  return text === '' ? '' : `: ${text}`
}

function descriptorLimit(): string {
  const limit = native.descriptorLimit()
  return limit > 0 && limit <= Number.MAX_SAFE_INTEGER ? `${String(limit)} ` : ''
}

const fileSysctl = onLinux ? 'fs.file-max' : 'kern.maxfiles'

/** Often empty: at the limit, the file with the number cannot be opened. */
function fileLimit(): string {
  const limit = contentOf('/proc/sys/fs/file-max').trim()
  return limit === '' ? '' : `${limit} `
}

function sandbox(call: string): string {
  return (
    `a sandbox of this process forbids ${call}: a seccomp filter, a BPF program of its cgroup, or a ` +
    'security module'
  )
}

function isBound(fd: number | undefined): boolean {
  return fd !== undefined && native.localPort(fd) > 0
}

/** Explains why a link-local address is refused: its zone is missing or unknown. */
function withoutZone(address: string): string {
  const [, zone] = address.split('%')
  if (zone === undefined) {
    return isIPv6(address) && isLinkLocal(address)
      ? `a link-local address needs the name of an interface, for example ${address}%eth0`
      : ''
  }
  const isKnown = /^\d+$/.test(zone) || Object.hasOwn(networkInterfaces(), zone)
  return isKnown ? '' : `interface '${zone}' does not exist or has no address`
}

function showOwner(port: number, options: string): string {
  return onLinux
    ? `\`ss ${options} sport = :${String(port)}\` shows which`
    : `\`lsof -nP -iTCP:${String(port)}\` shows which`
}

function unprivilegedPorts(port: number): string {
  const first = unprivilegedPortStart()
  const limit = first === undefined ? '' : ` = ${String(first)}`
  return (
    `port ${String(port)} is privileged (net.ipv4.ip_unprivileged_port_start${limit}); give the process ` +
    'CAP_NET_BIND_SERVICE, or lower that sysctl'
  )
}

function from({ source }: RefusedCall): string {
  return source === undefined ? '' : ` from ${source}`
}

function showRoute({ address = '', source }: RefusedCall): string {
  const [plain = ''] = address.split('%')
  return onLinux
    ? `\`ip route get ${plain}${source === undefined ? '' : ` from ${source.split('%')[0] ?? ''}`}\` shows the route`
    : `\`route -n get ${plain}\` shows the route`
}

function loopbackSource(address: string, source: string): string {
  return `the source ${source} is a loopback address, from which ${address} cannot be reached: use another source, or none`
}

/** Whether it is a multicast or broadcast address. */
function isForMany(address: string): boolean {
  const plain = plainAddress(address)
  const bytes = addressBytes(plain)
  const [first = 0] = bytes
  if (!isIPv4(plain)) return first === 0xff
  return (first >= 224 && first < 240) || broadcasts().has(plain)
}

function forMany(address: string): string {
  return `${address} is a broadcast or multicast address, which TCP cannot connect to`
}

/** The broadcast addresses of this host's networks, and the limited broadcast address. */
function broadcasts(): Set<string> {
  const found = new Set(['255.255.255.255'])
  for (const { family, address, netmask } of interfaceAddresses()) {
    if (family !== 'IPv4') continue
    const mask = addressBytes(netmask)
    const [, , , last = 0] = mask
    // A network with one or two addresses has no broadcast address (RFC 3021).
    if (last >= 254) continue
    const own = addressBytes(address)
    found.add(addressText(own.map((byte, index) => byte | (~(mask[index] ?? 0) & 0xff))))
  }
  return found
}

function hasGlobalAddress(family: 'IPv4' | 'IPv6'): boolean {
  return interfaceAddresses().some(
    (one) => one.family === family && !isLoopback(one.address) && !isLinkLocal(one.address),
  )
}

function interfaceAddresses(): { family: string; address: string; netmask: string }[] {
  try {
    return Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  } catch {
    // It needs a descriptor, and there may be none left.
    return []
  }
}
