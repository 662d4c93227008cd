/** Servers on a socket that this process inherited, for example from systemd (sd_listen_fds(3)). */
import type * as net from 'node:net'
import { getSystemErrorName } from 'node:util'
import { native } from '../kernel/binding'
import { isInternet, unixName } from '../kernel/domain'
import { listenOnSocket, untilListening } from '../connect/listening'
import { adoptOrKeep } from '../connect/open'
import { SocketTunerError, type SocketTunerErrorFields } from '../errors'
import { requireAdoption } from '../node/descriptors'
import { onDemand } from '../node/on-demand'
import { getOption } from '../options/access'
import { nameOf, socketKindOf } from '../options/failure'
import { phaseOf } from '../options/hazards'
import type { Settings } from '../options/option'
import { applySettings, prepareSettings } from '../options/tune'
import { requireUnix } from '../options/unix-settings'
import { tuneBeforeListening } from './unix-server'

/** A stream socket of TCP or of the unix domain. */
interface Inherited {
  /** The name of a unix-domain socket; undefined for TCP. */
  readonly path: string | undefined
  readonly isListening: boolean
}

/**
 * Makes a server listen on a descriptor, which the server then owns. A refused descriptor stays open.
 *
 * @returns the address, or the name of a unix-domain socket
 * @throws (as a rejection) what `listen()` throws
 */
export async function listenOnInherited(
  server: net.Server,
  fd: number,
  backlog: number,
  settings: Settings,
): Promise<net.AddressInfo | string> {
  requireAdoption('A server cannot take a descriptor', 'listen')
  const { path, isListening } = inheritedOf(fd)
  const prepared = prepareSettings(settings)
  if (path !== undefined) {
    requireUnix(prepared, `fd ${String(fd)}`)
    if (onDemand.cluster.isWorker) throw ofPrimary(fd)
  }
  applySettings(fd, prepared)
  // Listens here, before the server owns the descriptor: if the kernel refuses, the caller keeps it.
  const errno = native.listenFd(fd, backlog)
  if (errno < 0) throw refused(fd, errno)
  try {
    await untilListening(server, () => {
      // Node does not accept its own handle of a unix-domain socket for a server.
      if (path !== undefined) server.listen({ fd }, backlog)
      else listenOnSocket(server, adoptOrKeep(fd), backlog)
      // Connections of a unix-domain socket inherit nothing, nor do connections that already wait.
      if (path !== undefined || isListening) tuneBeforeListening(server, settings)
    })
  } catch (error) {
    throw asTaken(fd, error as Error)
  }
  return path ?? (server.address() as net.AddressInfo)
}

/** @throws the name of the errno if the descriptor is no open socket; ERR_SOCKET_TUNER_WRONG_SOCKET */
function inheritedOf(fd: number): Inherited {
  const type = getOption(fd, 'SO_TYPE')
  const kind = socketKindOf(fd)
  const path = unixName(fd)
  const {
    SOCK_STREAM,
    SOL_SOCKET = 0,
    SO_ACCEPTCONN = 0,
    IPPROTO_TCP,
    IPPROTO_MPTCP,
  } = native.constants
  const isTcp =
    isInternet(fd) &&
    (kind === undefined || kind.protocol === IPPROTO_TCP || kind.protocol === IPPROTO_MPTCP)
  if (type !== SOCK_STREAM || (path === undefined && !isTcp)) {
    const what = kind === undefined ? 'another socket' : nameOf(kind)
    throw wrong(fd, `${what} (SO_TYPE ${String(type)})`)
  }
  const phase = phaseOf(fd)
  if (phase === 'connecting' || phase === 'connected') throw wrong(fd, phase)
  const accepting = native.getInt(fd, SOL_SOCKET, SO_ACCEPTCONN)
  return { path, isListening: accepting > 0 }
}

function wrong(fd: number, what: string): SocketTunerError {
  return failure(
    `listen() takes a stream socket of TCP or of the unix domain that is not connected; fd ${String(fd)} is ${what}`,
    { code: 'ERR_SOCKET_TUNER_WRONG_SOCKET', fd },
  )
}

function refused(fd: number, errno: number): SocketTunerError {
  const code = getSystemErrorName(errno)
  const why = code === 'EINVAL' ? ': the socket is connected, or it is not bound' : ''
  return failure(`listen on fd ${String(fd)}: ${code}${why}`, { code, errno, fd })
}

/** Replaces Node's error for a descriptor that already has a handle. */
function asTaken(fd: number, error: Error): Error {
  const { code, errno } = error as NodeJS.ErrnoException
  if (code !== 'EEXIST') return error
  return failure(
    `listen on fd ${String(fd)}: EEXIST: another net.Server or net.Socket of this process has it`,
    { code, errno, fd, cause: error },
  )
}

function ofPrimary(fd: number): SocketTunerError {
  return failure(
    `fd ${String(fd)} is a unix-domain socket, which node:cluster takes from the primary: let the primary listen, or use { path }`,
    { code: 'ERR_SOCKET_TUNER_UNSUPPORTED', fd },
  )
}

function failure(message: string, fields: SocketTunerErrorFields): SocketTunerError {
  return new SocketTunerError(message, { syscall: 'listen', ...fields })
}
