/** Connections to unix-domain sockets, with options set before connect(2). */
import type * as net from 'node:net'
import { inspect } from 'node:util'
import { native } from '../kernel/binding'
import { ArgumentTypeError, ArgumentValueError, SocketTunerError } from '../errors'
import { requireUnix } from '../options/unix-settings'
import { applyToFresh, type PreparedSettings } from '../options/tune'
import { noSocket } from './connect-failure'
import type { Dialer } from './dialer'
import type { Tuning } from './tuning'

/**
 * Checks a path, and that the tuning suits a unix-domain socket.
 *
 * @param argument the name of the path in messages
 * @throws ERR_INVALID_ARG_TYPE; ERR_INVALID_ARG_VALUE for an option that is for TCP only;
 *   ERR_SOCKET_TUNER_WRONG_SOCKET for a setting without effect on such a socket
 */
export function checkUnix(argument: string, path: unknown, tuning: Tuning): void {
  if (typeof path !== 'string') throw new ArgumentTypeError(argument, 'of type string', path)
  const { tcpOnly, settings } = tuning
  if (tcpOnly !== undefined) {
    const reason = `cannot go together with ${tcpOnly}, which is for TCP only`
    throw new ArgumentValueError(argument, reason, path)
  }
  requireUnix(settings, inspect(path))
}

/** Connects with options and settings that {@link checkUnix} accepted. A refusal of the kernel is emitted as 'error'. */
export function connectUnix(
  options: net.IpcNetConnectOpts,
  settings: PreparedSettings,
  dialer: Dialer,
  connectListener: (() => void) | undefined,
): net.Socket {
  if (settings.operations.length === 0) return dialer.connect(options, connectListener)
  return dialer.connectOn(() => openUnix(options.path, settings), options, connectListener)
}

function openUnix(path: string, settings: PreparedSettings): number {
  const { AF_UNIX, SOCK_STREAM } = native.constants
  if (AF_UNIX === undefined || SOCK_STREAM === undefined) {
    throw new SocketTunerError(`Sockets cannot be opened on ${process.platform}`, {
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
