/** Opens sockets by socket(2), so that options can be set before bind() and connect(). */
import type * as net from 'node:net'
import { getSystemErrorName } from 'node:util'
import { native } from '../kernel/binding'
import { SocketTunerError } from '../errors'
import {
  applySettings,
  applyToFresh,
  type PreparedSettings,
  type TuneReport,
} from '../options/tune'
import { socketOn } from '../node/adopt'
import { requireAdoption } from '../node/descriptors'
import type { Adopting } from '../node/handle'
import type { IpFamily } from './address'
import { fallsBackToTcp, triesMptcp } from './mptcp'
import { reasonOf } from './refusals'

/** A descriptor, which the caller owns, and the outcome of its settings. */
interface OpenedSocket {
  readonly fd: number
  readonly report: TuneReport
}

/**
 * Opens a non-blocking, close-on-exec TCP socket and applies settings to it. Closes the descriptor if a
 * setting is refused.
 *
 * @throws ERR_SOCKET_TUNER_UNSUPPORTED on Windows, and for MPTCP if the platform has none; the errno name
 *   (`EMFILE`, `EAFNOSUPPORT`) if socket(2) fails; as `tune()` if a setting is refused
 */
export function openSocket(
  family: IpFamily,
  settings: PreparedSettings,
  { mptcp = false }: { readonly mptcp?: boolean } = {},
): OpenedSocket {
  const fd = streamSocket(family, mptcp)
  if (fd < 0) throw socketFailure(family, mptcp, fd)
  return { fd, report: orClose(fd, () => applySettings(fd, settings)) }
}

/**
 * As {@link openSocket}, for a socket that is connected next. An option that the platform lacks is an error.
 *
 * @param mptcp uses MPTCP if the kernel has it
 * @param prepare sets options before the settings
 * @returns the descriptor, or the negated errno of socket(2)
 */
export function openForConnect(
  family: IpFamily,
  settings: PreparedSettings,
  mptcp: boolean,
  prepare: (fd: number) => void,
): number {
  const asMptcp = triesMptcp(mptcp)
  let fd = streamSocket(family, asMptcp)
  if (asMptcp && fd < 0 && fallsBackToTcp(fd)) fd = streamSocket(family, false)
  if (fd < 0) return fd
  orClose(fd, () => {
    prepare(fd)
    applyToFresh(fd, settings)
  })
  return fd
}

/** Returns the descriptor, or the negated errno. */
function streamSocket(family: IpFamily, mptcp: boolean): number {
  const { SOCK_STREAM, IPPROTO_TCP, IPPROTO_MPTCP } = native.constants
  const domain = domainOf(family)
  const protocol = mptcp ? IPPROTO_MPTCP : IPPROTO_TCP
  if (domain === undefined || SOCK_STREAM === undefined || protocol === undefined) {
    const what = mptcp && domain !== undefined ? 'MPTCP sockets' : 'Sockets'
    throw new SocketTunerError(`${what} cannot be opened on ${process.platform}`, {
      code: 'ERR_SOCKET_TUNER_UNSUPPORTED',
      syscall: 'socket',
    })
  }
  return native.openSocket(domain, SOCK_STREAM, protocol)
}

/** Returns the constant of an address family; undefined without the addon. */
export function domainOf(family: IpFamily): number | undefined {
  const { AF_INET, AF_INET6 } = native.constants
  return family === 6 ? AF_INET6 : AF_INET
}

function orClose<T>(fd: number, action: () => T): T {
  try {
    return action()
  } catch (error) {
    native.closeFd(fd)
    throw error
  }
}

/** Makes a handle the owner of a descriptor. Closes the descriptor if the handle refuses it. */
export function giveTo(handle: Adopting, fd: number): void {
  const error = handle.open(fd)
  if (error >= 0) return
  native.closeFd(fd)
  throw new SocketTunerError(`Node refused fd ${String(fd)} (errno ${String(-error)})`, {
    code: 'ERR_SOCKET_TUNER_NO_DESCRIPTOR',
    errno: error,
  })
}

/**
 * Makes a net.Socket from a descriptor that is not connected: call `connect()` on it. The net.Socket owns the
 * descriptor. Closes the descriptor on failure.
 */
export function adoptSocket(fd: number, options: net.SocketConstructorOpts = {}): net.Socket {
  return orClose(fd, () => adoptOrKeep(fd, options))
}

/** As {@link adoptSocket}, but leaves the descriptor open on failure, for example EEXIST if it has a net.Socket. */
export function adoptOrKeep(fd: number, options: net.SocketConstructorOpts = {}): net.Socket {
  requireAdoption('A descriptor cannot become a net.Socket', 'connect')
  return socketOn(fd, options)
}

function socketFailure(family: IpFamily, mptcp: boolean, errno: number): SocketTunerError {
  const code = getSystemErrorName(errno)
  const protocol = mptcp ? 'MPTCP' : 'TCP'
  const reason = reasonOf('socket', code, { mptcp })
  return new SocketTunerError(`socket for IPv${String(family)} ${protocol}: ${code}${reason}`, {
    code,
    errno,
    syscall: 'socket',
  })
}
