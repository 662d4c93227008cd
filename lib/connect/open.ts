/** Sockets made by socket(2) here, so that options are in force before bind() and connect(). */
import * as net from 'node:net'
import { getSystemErrorName } from 'node:util'
import { native } from '../binding'
import { SocketOptionError } from '../errors'
import { applySettings, type PreparedSettings, type TuneReport } from '../options/tune'

/** A descriptor that is the caller's to close or to give away, and what came of its settings. */
export interface OpenedSocket {
  readonly fd: number
  readonly report: TuneReport
}

/**
 * Opens a non-blocking, close-on-exec TCP socket over IPv4 (4) or IPv6 (6) and applies settings to
 * it. When one is refused the descriptor is closed again.
 *
 * @throws ERR_SOCKET_TUNER_UNSUPPORTED on Windows; the errno's name (`EMFILE`, `EAFNOSUPPORT`) when
 *   socket(2) fails; what `tune()` throws when a setting is refused
 */
export function openSocket(family: 4 | 6, settings: PreparedSettings): OpenedSocket {
  const { AF_INET, AF_INET6, SOCK_STREAM, IPPROTO_TCP } = native.constants
  const domain = family === 6 ? AF_INET6 : AF_INET
  if (domain === undefined || SOCK_STREAM === undefined || IPPROTO_TCP === undefined) {
    throw new SocketOptionError(`Sockets cannot be opened here on ${process.platform}`, {
      code: 'ERR_SOCKET_TUNER_UNSUPPORTED',
      syscall: 'socket',
    })
  }
  const fd = native.openSocket(domain, SOCK_STREAM, IPPROTO_TCP)
  if (fd < 0) throw socketFailure(family, fd)
  try {
    return { fd, report: applySettings(fd, settings) }
  } catch (error) {
    native.closeFd(fd)
    throw error
  }
}

/**
 * Makes a net.Socket of a descriptor that is not connected: call `connect()` on it. From here on the
 * net.Socket owns the descriptor; when it cannot be made of it, the descriptor is closed.
 */
export function adoptSocket(fd: number): net.Socket {
  // Node's typings leave manualStart out: without it the socket is read before it is connected.
  const options: net.SocketConstructorOpts & { manualStart: boolean } = {
    fd,
    readable: true,
    writable: true,
    manualStart: true,
  }
  try {
    return new net.Socket(options)
  } catch (error) {
    native.closeFd(fd)
    throw error
  }
}

function socketFailure(family: 4 | 6, errno: number): SocketOptionError {
  const code = getSystemErrorName(errno)
  return new SocketOptionError(`socket for IPv${String(family)} TCP: ${code}`, {
    code,
    errno,
    syscall: 'socket',
  })
}
