import { getSystemErrorName } from 'node:util'
import { SocketTunerError } from '../errors'

/** The errors of a kernel without netlink, without inet_diag, or without the requested operation. */
const unsupported = new Set([
  'EOPNOTSUPP',
  'ENOTSUP',
  'ENOPROTOOPT',
  'EPROTONOSUPPORT',
  'EAFNOSUPPORT',
  'ENOENT',
  'ENOSYS',
])

/**
 * Returns the error for a failed request to inet_diag.
 *
 * @param errno negated
 * @param what the beginning of the message if the kernel lacks support: `Sockets cannot be counted`
 * @param reasons explanations of some errors, by errno name
 */
export function sockDiagFailure(
  errno: number,
  what: string,
  reasons: Readonly<Record<string, string>> = {},
): SocketTunerError {
  const code = getSystemErrorName(errno)
  if (unsupported.has(code)) {
    return new SocketTunerError(`${what} on ${process.platform} with this kernel (${code})`, {
      code: 'ERR_SOCKET_TUNER_UNSUPPORTED',
      errno,
      syscall: 'sock_diag',
    })
  }
  const reason = reasons[code]
  return new SocketTunerError(`sock_diag: ${code}${reason === undefined ? '' : `: ${reason}`}`, {
    code,
    errno,
    syscall: 'sock_diag',
  })
}
