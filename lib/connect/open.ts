/** Sockets made by socket(2) here, so that options are in force before bind() and connect(). */
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
import { listenWith, socketOn } from '../node/adopt'
import { requireAdoption } from '../node/descriptors'
import type { IpFamily } from './address'
import { reasonOf } from './refusals'

/** A descriptor that is the caller's to close or to give away, and what came of its settings. */
export interface OpenedSocket {
  readonly fd: number
  readonly report: TuneReport
}

/**
 * Opens a non-blocking, close-on-exec TCP socket and applies settings to it. When one is refused the
 * descriptor is closed again.
 *
 * @throws ERR_SOCKET_TUNER_UNSUPPORTED on Windows, and for MPTCP where the platform has none; the
 *   errno's name (`EMFILE`, `EAFNOSUPPORT`) when socket(2) fails; what `tune()` throws when a setting
 *   is refused
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
 * The same for a socket that is connected at once: an option that is not to be had is an error.
 *
 * @param prepare what goes before the settings
 * @returns the descriptor, or the negated errno of socket(2)
 */
export function openForConnect(
  family: IpFamily,
  settings: PreparedSettings,
  prepare: (fd: number) => void,
): number {
  const fd = streamSocket(family, false)
  if (fd < 0) return fd
  orClose(fd, () => {
    prepare(fd)
    applyToFresh(fd, settings)
  })
  return fd
}

/** The descriptor, or the negated errno. */
function streamSocket(family: IpFamily, mptcp: boolean): number {
  const { SOCK_STREAM, IPPROTO_TCP, IPPROTO_MPTCP } = native.constants
  const domain = domainOf(family)
  const protocol = mptcp ? IPPROTO_MPTCP : IPPROTO_TCP
  if (domain === undefined || SOCK_STREAM === undefined || protocol === undefined) {
    const what = mptcp && domain !== undefined ? 'MPTCP sockets' : 'Sockets'
    throw new SocketTunerError(`${what} cannot be opened here on ${process.platform}`, {
      code: 'ERR_SOCKET_TUNER_UNSUPPORTED',
      syscall: 'socket',
    })
  }
  return native.openSocket(domain, SOCK_STREAM, protocol)
}

/** What socket(2) calls a family; undefined where there is no addon. */
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

/**
 * Makes a net.Socket of a descriptor that is not connected: call `connect()` on it. From here on the
 * net.Socket owns the descriptor; when it cannot be made of it, the descriptor is closed.
 */
export function adoptSocket(fd: number, options: net.SocketConstructorOpts = {}): net.Socket {
  return orClose(fd, () => adoptOrKeep(fd, options))
}

/** The same, and a descriptor of which no net.Socket can be made stays open: EEXIST when it has one. */
export function adoptOrKeep(fd: number, options: net.SocketConstructorOpts = {}): net.Socket {
  requireAdoption('A descriptor cannot become a net.Socket', 'connect')
  return socketOn(fd, options)
}

/**
 * Makes a server listen on a bound descriptor, which is the server's from now on. A handle is taken as
 * it is: of `server.listen({ fd })` Node takes no backlog, and a cluster worker asks its primary for a
 * descriptor of that number.
 */
export function listenOnDescriptor(
  server: net.Server,
  fd: number,
  backlog: number,
  listening?: () => void,
): void {
  listenOnSocket(server, adoptSocket(fd), backlog, listening)
}

/** The same with the handle of a net.Socket, which has none from then on. */
export function listenOnSocket(
  server: net.Server,
  holder: net.Socket,
  backlog: number,
  listening?: () => void,
): void {
  try {
    listenWith(server, holder, backlog, listening)
  } catch (error) {
    holder.destroy()
    throw error
  }
}

/** Resolves when a server listens that `begin` makes listen. Rejects with what that throws, and with 'error'. */
export function untilListening(server: net.Server, begin: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      server.off('listening', listening)
      server.off('error', failed)
    }
    const listening = (): void => {
      settle()
      resolve()
    }
    const failed = (error: Error): void => {
      settle()
      reject(error)
    }
    server.on('listening', listening)
    server.on('error', failed)
    try {
      begin()
    } catch (error) {
      failed(error as Error)
    }
  })
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
