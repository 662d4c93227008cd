import { getSystemErrorName } from 'node:util'
import { SocketTunerError } from '../errors'

/** What the kernel answers where it lacks inet_diag, or what was asked of it, or netlink itself. */
const unsupported = new Set([
  'EOPNOTSUPP',
  'ENOTSUP',
  'ENOPROTOOPT',
  'EPROTONOSUPPORT',
  'EAFNOSUPPORT',
  'ENOENT',
])

/**
 * The error of a question to inet_diag.
 *
 * @param errno negative, as Node gives it
 * @param what is not to be had where it is not supported, as the subject of a sentence
 * @param reasons what to say of some errnos beside their names
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
