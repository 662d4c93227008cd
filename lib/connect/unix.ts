/** Connections to unix-domain sockets, with options in force before connect(2). */
import * as net from 'node:net'
import { inspect } from 'node:util'
import { native } from '../kernel/binding'
import { ArgumentTypeError, ArgumentValueError, SocketTunerError } from '../errors'
import { connectOn } from '../node/adopt'
import { requireUnix } from '../options/unix'
import { applyToFresh, type PreparedSettings } from '../options/tune'
import { noSocket } from './connect-failure'
import type { Tuning } from './tuning'

/**
 * @param argument what messages call the path
 * @throws ERR_INVALID_ARG_TYPE; ERR_INVALID_ARG_VALUE for a source or a port range;
 *   ERR_SOCKET_TUNER_WRONG_SOCKET for an option that does not act on such a socket
 */
export function checkUnix(argument: string, path: unknown, tuning: Tuning): void {
  if (typeof path !== 'string') throw new ArgumentTypeError(argument, 'of type string', path)
  const { tcpOnly, settings } = tuning
  if (tcpOnly !== undefined) {
    const reason = `cannot go together with ${tcpOnly}: a unix-domain socket has no port`
    throw new ArgumentValueError(argument, reason, path)
  }
  requireUnix(settings, inspect(path))
}

/** For options and settings that {@link checkUnix} accepted. What the kernel refuses is emitted as 'error'. */
export function connectUnix(
  options: net.IpcNetConnectOpts,
  settings: PreparedSettings,
  connectListener: (() => void) | undefined,
): net.Socket {
  if (settings.operations.length === 0) return net.connect(options, connectListener)
  let fd: number
  try {
    fd = openUnix(options.path, settings)
  } catch (error) {
    return new net.Socket(options).destroy(error as Error)
  }
  // Node calls connect(2) in this very tick, so the socket gets its descriptor beforehand.
  return connectOn(fd, options, connectListener)
}

function openUnix(path: string, settings: PreparedSettings): number {
  const { AF_UNIX, SOCK_STREAM } = native.constants
  if (AF_UNIX === undefined || SOCK_STREAM === undefined) {
    throw new SocketTunerError(`Sockets cannot be opened here on ${process.platform}`, {
      code: 'ERR_SOCKET_TUNER_UNSUPPORTED',
      syscall: 'socket',
    })
  }
  const fd = native.openSocket(AF_UNIX, SOCK_STREAM, 0)
  if (fd < 0) throw noSocket(fd, { address: path })
  try {
    applyToFresh(fd, settings)
    return fd
  } catch (error) {
    native.closeFd(fd)
    throw error
  }
}
