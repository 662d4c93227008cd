/** Errors for a get or a set that the kernel refused, with the cause and the fix in the message. */
import { getSystemErrorName } from 'node:util'
import { constants as os } from 'node:os'
import { native } from '../kernel/binding'
import { isUnixDomain } from '../kernel/domain'
import { SocketOptionError, type ErrnoCode } from '../errors'
import type { Option } from './option'
import type { OptionRow, OptionTiming } from './row'

/** The kind of a socket, as the kernel reports it. */
interface SocketKind {
  domain: number
  type: number
  protocol: number
}

/** Returns the error for a `syscall` on `option` that failed with `errno` (negative). */
export function kernelFailure(
  syscall: 'getsockopt' | 'setsockopt',
  option: Option,
  fd: number,
  errno: number,
  value?: unknown,
): SocketOptionError {
  const { name, row } = option
  const shown = row.secret === true ? undefined : value
  const fields = { errno, syscall, option: name, level: row.level, fd, value: shown }
  const isAbsent = errno === -os.errno.ENOPROTOOPT || errno === -os.errno.EOPNOTSUPP
  if (isAbsent || row.only !== undefined) {
    const mismatch = mismatchOf(option, fd)
    if (mismatch !== undefined) {
      return new SocketOptionError(mismatch, { ...fields, code: 'ERR_SOCKET_TUNER_WRONG_SOCKET' })
    }
  }
  if (isAbsent) {
    return new SocketOptionError(`${name} is not supported here: ${absence(option)}`, {
      ...fields,
      code: 'ERR_SOCKET_TUNER_UNSUPPORTED',
    })
  }
  const code = getSystemErrorName(errno)
  return new SocketOptionError(
    `${syscall} ${name} on fd ${String(fd)}: ${code}${hint(option, code)}`,
    {
      ...fields,
      code,
    },
  )
}

/** Returns the error for an option that this platform lacks. */
export function absentOption(option: Option): SocketOptionError {
  return new SocketOptionError(`${option.name} is not supported here: ${absence(option)}`, {
    code: 'ERR_SOCKET_TUNER_UNSUPPORTED',
    option: option.name,
    level: option.row.level,
  })
}

/** Returns the reason why an option is not available. */
export function absence({ number, row }: Option): string {
  if (number === undefined) return `${process.platform} has no such option`
  const since = row.since === undefined ? '' : `; Linux has it since ${row.since}`
  const clause = row.refused?.EOPNOTSUPP ?? row.refused?.ENOPROTOOPT
  const refused = clause === undefined ? '' : `; it is also refused ${clause}`
  return `this kernel does not have it, or not for this socket${since}${refused}`
}

/** Describes why the option does not apply to the socket; undefined if it does, or if the kind is unknown. */
function mismatchOf({ name, row }: Option, fd: number): string | undefined {
  const kind = socketKindOf(fd)
  if (kind === undefined) return undefined
  const { AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_MPTCP, SOCK_DGRAM } = native.constants
  const internet = kind.domain === AF_INET || kind.domain === AF_INET6
  const isMptcp = kind.protocol === IPPROTO_MPTCP
  const tcp = internet && (kind.protocol === IPPROTO_TCP || isMptcp)
  const refusedByMptcp = isMptcp && row.notOnMptcp === true
  const ofKind =
    row.only === undefined ||
    (row.only === 'unix' && isUnixDomain(fd)) ||
    (row.only === 'datagram' && internet && kind.type === SOCK_DGRAM) ||
    (row.only === 'mptcp' && isMptcp)
  const fits =
    row.level === 'SOL_SOCKET' ||
    row.level === 'SOL_UDP' ||
    row.level === 'SOL_MPTCP' ||
    (row.level === 'IPPROTO_TCP' && tcp) ||
    (row.level === 'IPPROTO_IPV6' && kind.domain === AF_INET6) ||
    (row.level === 'IPPROTO_IP' && internet)
  if (!ofKind) {
    const sockets = { unix: 'unix-domain', datagram: 'UDP', mptcp: 'MPTCP' }[row.only ?? 'datagram']
    return `${name} is an option of ${sockets} sockets; fd ${String(fd)} is ${nameOf(kind)}`
  }
  if (fits && !refusedByMptcp) return undefined
  return `${name} is an option of ${row.level}; fd ${String(fd)} is ${nameOf(kind)}`
}

/** Returns undefined if the kernel does not report the kind. */
export function socketKindOf(fd: number): SocketKind | undefined {
  const { SOL_SOCKET, SO_DOMAIN, SO_TYPE, SO_PROTOCOL } = native.constants
  if (
    SOL_SOCKET === undefined ||
    SO_DOMAIN === undefined ||
    SO_TYPE === undefined ||
    SO_PROTOCOL === undefined
  ) {
    return undefined
  }
  const domain = native.getInt(fd, SOL_SOCKET, SO_DOMAIN)
  const type = native.getInt(fd, SOL_SOCKET, SO_TYPE)
  const protocol = native.getInt(fd, SOL_SOCKET, SO_PROTOCOL)
  if (domain < 0 || type < 0 || protocol < 0) return undefined
  return { domain, type, protocol }
}

export function nameOf({ domain, type, protocol }: SocketKind): string {
  const { AF_UNIX, AF_INET, AF_INET6, SOCK_STREAM, SOCK_DGRAM, IPPROTO_TCP, IPPROTO_MPTCP } =
    native.constants
  if (domain === AF_UNIX) return 'a unix-domain socket'
  const family = domain === AF_INET ? 'an IPv4' : domain === AF_INET6 ? 'an IPv6' : undefined
  if (family === undefined) return `a socket of address family ${String(domain)}`
  if (protocol === IPPROTO_MPTCP) return `${family} MPTCP socket`
  if (type === SOCK_STREAM && protocol === IPPROTO_TCP) return `${family} TCP socket`
  if (type === SOCK_DGRAM) return `${family} UDP socket`
  return `${family} socket of protocol ${String(protocol)}`
}

/** The cause of the error for this option, and the fix, as the end of a message. */
function hint({ row }: Option, code: string): string {
  const clause = row.refused?.[code as ErrnoCode]
  const given = clause === undefined ? '' : `, returned ${clause}`
  switch (code) {
    case 'EPERM':
    case 'EACCES':
      return given + permission(row, clause)
    case 'EBADF':
      return clause === undefined ? ': the descriptor is not open' : given
    case 'ENOTSOCK':
      return ': the descriptor is not a socket'
    default:
      return row.refusedLate === true && code === 'EINVAL' ? `${given}: ${inTime[row.when]}` : given
  }
}

const inTime: Readonly<Record<OptionTiming, string>> = {
  any: 'set it at any time',
  'pre-bind': 'set it before bind(), as RawSocket does',
  'pre-connect': 'set it before connect(), as RawSocket and connect({ settings }) do',
  'pre-established': 'set it before the connection is established',
  'pre-listen': 'set it on the listening socket',
  connected: 'set it once the connection is established',
}

function permission({ privilege }: OptionRow, clause: string | undefined): string {
  if (privilege === undefined) return clause === undefined ? ': not permitted' : ''
  return (
    `: needs ${privilege}. Run as root, or add the capability: setcap on the node binary, ` +
    'AmbientCapabilities= of systemd, --cap-add of docker'
  )
}

/** Formats the refusals of a row: `EBADF or EINVAL unless …; EPERM once …`. */
export function refusalsText({ refused = {} }: Pick<OptionRow, 'refused'>): string | undefined {
  const clauses = [...new Set(Object.values(refused))]
  if (clauses.length === 0) return undefined
  const codesOf = (clause: string): string[] =>
    Object.entries(refused).flatMap(([code, its]) => (its === clause ? [code] : []))
  return clauses.map((clause) => `${codesOf(clause).join(' or ')} ${clause}`).join('; ')
}
