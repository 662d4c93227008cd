import { SocketOptionError } from '../errors'
import type { PreparedSettings } from './tune'

/**
 * Checks that each setting has an effect on a unix-domain socket: the kernel accepts many that have none.
 *
 * @param where the name of the socket in the message
 * @throws ERR_SOCKET_TUNER_WRONG_SOCKET
 */
export function requireUnix({ operations, missing }: PreparedSettings, where: string): void {
  for (const { option } of [...operations, ...missing]) {
    const { name, row } = option
    if (row.level === 'SOL_SOCKET' && row.ipOnly !== true) continue
    const why =
      row.level === 'SOL_SOCKET' ? 'acts on IP sockets only' : `is an option of ${row.level}`
    throw new SocketOptionError(`${name} ${why}; ${where} is a unix-domain socket`, {
      code: 'ERR_SOCKET_TUNER_WRONG_SOCKET',
      option: name,
      level: row.level,
    })
  }
}
