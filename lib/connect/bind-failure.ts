/** Errors for a refused local address, with Node's fields, and the cause and the fix in the message. */
import { constants as os } from 'node:os'
import { getSystemErrorMap, getSystemErrorName } from 'node:util'
import { SocketTunerError, type SocketTunerErrorFields } from '../errors'
import type { SocketAddress } from '../options/kinds/peer-info'
import { endpoint } from './address'
import { reasonOf } from './refusals'

/** Returns the error for a failed bind(2). */
export function bindFailure(
  errno: number,
  address: string,
  port: number,
  fields: Partial<SocketTunerErrorFields> = {},
): SocketTunerError {
  const code = getSystemErrorName(errno)
  const reason = reasonOf('bind', code, { address, port, fd: fields.fd })
  return new SocketTunerError(`bind ${code} ${endpoint(address, port)}${reason}`, {
    errno,
    syscall: 'bind',
    address,
    port,
    ...fields,
    code,
  })
}

/** Returns the error for a failed server.listen(). Node reports socket(2), bind(2) and listen(2) all as `listen`. */
export function listenFailure(
  error: Pick<SocketTunerErrorFields, 'code' | 'errno' | 'fd'>,
  address: string,
  port: number,
  { reusePort = false }: { readonly reusePort?: boolean } = {},
): SocketTunerError {
  const { code, errno = -os.errno.EINVAL, fd } = error
  const [, text = code] = getSystemErrorMap().get(errno) ?? []
  const reason = reasonOf('listen', code, { address, port, reusePort })
  return new SocketTunerError(`listen ${code}: ${text} ${endpoint(address, port)}${reason}`, {
    code,
    errno,
    syscall: 'listen',
    address,
    port,
    fd,
    cause: error,
  })
}

/** Adds the cause and the fix to Node's error of listen(2). */
export function listenFailureOf(error: Error, { address, port }: SocketAddress): Error {
  const { code, errno, syscall } = error as NodeJS.ErrnoException
  if (code === undefined || errno === undefined || syscall !== 'listen') return error
  return listenFailure(Object.assign(error, { code }), address, port)
}
