/**
 * Why the kernel refuses to open, bind or connect a socket, and the way out: the one table, by the system
 * call and the errno. What it does not know needs no explanation, as ECONNREFUSED.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { networkInterfaces } from 'node:os'
import { native } from '../kernel/binding'
import type { ErrnoCode } from '../errors'
import { contentOf, unprivilegedPortStart } from '../kernel/proc'
import { addressBytes, isLoopback, plainAddress } from '../kernel/addresses'

/** A system call that was refused. */
export interface RefusedCall {
  /** Of bind(2) the local one, of connect(2) the destination; absent for socket(2). */
  readonly address?: string
  readonly port?: number
  /** The source of a connection, where one was chosen. */
  readonly source?: string | undefined
  /** The descriptor, where there is one. */
  readonly fd?: number | undefined
  /** connect(2) went well, and the answer came over the network. */
  readonly answered?: boolean
  readonly mptcp?: boolean
  /** SO_REUSEPORT was set. */
  readonly reusePort?: boolean
}

/** Empty where there is nothing to add after all. */
type Reason = (call: Required<Pick<RefusedCall, 'address' | 'port'>> & RefusedCall) => string

export type RefusedSyscall = 'socket' | 'bind' | 'listen' | 'listenUnix' | 'connect'

type Reasons = Readonly<Partial<Record<ErrnoCode, Reason>>>

const onLinux = process.platform === 'linux'

const descriptors: Reasons = {
  EMFILE: () =>
    `all ${descriptorLimit()}descriptors that this process may have are open (RLIMIT_NOFILE). What ` +
    'helps: close files and sockets that are not in use; a higher limit, by `ulimit -n` in the shell, ' +
    "LimitNOFILE= in a systemd unit, or --ulimit nofile= of a container's command line",
  ENFILE: () =>
    `all ${fileLimit()}files that this machine may have are open (${fileSysctl}). What helps: a higher ` +
    `${fileSysctl}, by sysctl` +
    (onLinux ? '; `sysctl fs.file-nr` shows how many are open' : ''),
}

const socket: Reasons = {
  ...descriptors,
  EAFNOSUPPORT: () => 'this host has no IPv6 (ipv6.disable): use an IPv4 address',
  ENOPROTOOPT: ({ mptcp }) => (mptcp === true ? 'net.mptcp.enabled is 0 here' : ''),
  EPROTONOSUPPORT: ({ mptcp }) => (mptcp === true ? 'this kernel has no MPTCP' : ''),
  EACCES: () => sandbox('socket()'),
  EPERM: () => sandbox('socket()'),
}

const bind: Reasons = {
  EINVAL: ({ address, fd }) => (isBound(fd) ? 'the socket is bound already' : withoutZone(address)),
  EADDRNOTAVAIL: ({ address }) => `${address} is not an address of this host`,
  EADDRINUSE: ({ port }) =>
    port === 0
      ? 'bind() found no port that is free for all destinations; with IP_BIND_ADDRESS_NO_PORT it need not be'
      : `another socket has port ${String(port)}; ${showOwner(port, '-tanp')}`,
  EACCES: ({ port }) => unprivilegedPorts(port),
}

/** Node calls what is refused of a server listen(), whichever call it is. */
const listen: Reasons = {
  ...socket,
  ...bind,
  EINVAL: ({ address }) => withoutZone(address),
  EADDRINUSE: ({ port, reusePort }) =>
    reusePort === true
      ? `a socket has this port without SO_REUSEPORT, or of another user; ${showOwner(port, '-ltnp')}`
      : `another socket has this port; ${showOwner(port, '-ltnp')}`,
}

/** Of a path, by Node. */
const listenUnix: Reasons = {
  ...descriptors,
  EADDRINUSE: ({ address }) =>
    'a server listens there, or one that was killed has left its file behind' +
    (onLinux ? `; \`ss -xlp src ${address}\` shows which` : '') +
    '. Remove the file where nobody listens',
  EACCES: () =>
    'this process may not make files in that directory; Node says EACCES of one that does not exist too',
}

const connect: Reasons = {
  ...descriptors,
  ENETUNREACH: (call) => {
    const { address, answered } = call
    if (isForMany(address)) return forMany(address)
    if (answered === true)
      return `a router or a firewall on the way answered that it has no route to ${address} (ICMP)`
    const family = isIPv6(address) ? 'IPv6' : 'IPv4'
    const addresses = hasGlobalAddress(family)
      ? ''
      : `, and no ${family} address but link-local and loopback ones`
    return `this host has no route to ${address}${from(call)}${addresses}. ${showRoute(call)}`
  },
  EHOSTUNREACH: (call) => {
    const { address, source, answered } = call
    if (source !== undefined && isLoopback(source) && !isLoopback(address))
      return loopbackSource(address, source)
    return answered === true
      ? `nothing answers for ${address}, or for the gateway to it, on the link` +
          (onLinux ? ' (`ip neighbour` shows FAILED)' : '') +
          ', or a router or firewall on the way refused the connection (ICMP)'
      : `a route of this host calls ${address} unreachable. ${showRoute(call)}`
  },
  EACCES: (call) => {
    const { address, port, answered } = call
    if (isForMany(address)) return forMany(address)
    return answered === true
      ? `a firewall on the way to ${address} forbids it (ICMPv6, administratively prohibited)`
      : `a route of type prohibit, or a sandbox of this process (Landlock, SELinux, AppArmor), forbids ` +
          `connections to ${address} port ${String(port)}. ${showRoute(call)}`
  },
  EPERM: () => `${sandbox('connect()')}. A firewall's DROP gives no error but ETIMEDOUT`,
  EINVAL: (call) => {
    const { address, source } = call
    if (source !== undefined && isLoopback(source) && !isLoopback(address))
      return loopbackSource(address, source)
    const zone = withoutZone(address)
    return zone === '' && onLinux
      ? `a route of type blackhole swallows what goes to ${address}. ${showRoute(call)}`
      : zone
  },
  ETIMEDOUT: ({ address, port }) =>
    `${address} port ${String(port)} gave no answer, however often the SYN was sent ` +
    '(TCP_SYNCNT, net.ipv4.tcp_syn_retries; TCP_USER_TIMEOUT). The host is down, a firewall drops the ' +
    'segments without an answer, or the queue of the listening socket is full',
}

const table: Readonly<Record<RefusedSyscall, Reasons>> = {
  socket,
  bind,
  listen,
  listenUnix,
  connect,
}

/** `: ` and what explains the errno of a call, for the end of a message; empty where that is not known. */
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

/** Most often empty: to read it takes a file. */
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

/** The usual reasons why a link-local address is refused. */
function withoutZone(address: string): string {
  const [, zone] = address.split('%')
  if (zone === undefined) {
    return isLinkLocal(address)
      ? `a link-local address needs its interface, as in ${address}%eth0`
      : ''
  }
  const isKnown = /^\d+$/.test(zone) || Object.hasOwn(networkInterfaces(), zone)
  return isKnown ? '' : `there is no interface '${zone}', or it has no address`
}

function isLinkLocal(address: string): boolean {
  return isIPv6(address) && /^fe[89ab]/i.test(address)
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
    ? `\`ip route get ${plain}${source === undefined ? '' : ` from ${source.split('%')[0] ?? ''}`}\` shows what it does`
    : `\`route -n get ${plain}\` shows what it does`
}

function loopbackSource(address: string, source: string): string {
  return `the source ${source} is a loopback address, which does not reach ${address}: take another, or none`
}

/** Multicast and broadcast. */
function isForMany(address: string): boolean {
  const plain = plainAddress(address)
  const bytes = addressBytes(plain)
  const [first = 0] = bytes
  if (!isIPv4(plain)) return first === 0xff
  return (first >= 224 && first < 240) || broadcasts().has(plain)
}

function forMany(address: string): string {
  return `${address} is a broadcast or multicast address, and a TCP connection has one peer`
}

/** The broadcast addresses of this host's networks, and the one of all. */
function broadcasts(): Set<string> {
  const found = new Set(['255.255.255.255'])
  for (const { family, address, netmask } of interfaceAddresses()) {
    if (family !== 'IPv4') continue
    const mask = addressBytes(netmask)
    const [, , , last = 0] = mask
    // Of networks with two addresses or one none is for broadcast (RFC 3021).
    if (last >= 254) continue
    const own = addressBytes(address)
    found.add(own.map((byte, index) => byte | (~(mask[index] ?? 0) & 0xff)).join('.'))
  }
  return found
}

function hasGlobalAddress(family: 'IPv4' | 'IPv6'): boolean {
  return interfaceAddresses().some(
    (one) =>
      one.family === family &&
      !isLoopback(one.address) &&
      !isLinkLocal(one.address) &&
      !one.address.startsWith('169.254.'),
  )
}

function interfaceAddresses(): { family: string; address: string; netmask: string }[] {
  try {
    return Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  } catch {
    // It takes a descriptor.
    return []
  }
}
