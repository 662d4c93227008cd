/** Servers on unix-domain sockets (unix(7)) and on named pipes of Windows, by Node's own listen(). */
import type * as net from 'node:net'
import { getSystemErrorMap } from 'node:util'
import { untilListening } from '../connect/listening'
import { reasonOf } from '../connect/refusals'
import { ArgumentTypeError, ArgumentValueError, SocketTunerError } from '../errors'
import { handleOf } from '../node/handle'
import type { Settings } from '../options/option'
import { custom } from '../spec'
import { tuneListening } from './tune-server'

/** sizeof(sun_path). Windows has no such limit. */
const longestPath = { linux: 108, darwin: 104 }[process.platform as string] ?? Infinity

/**
 * The name of a unix-domain socket: a path, or on Linux an abstract name that begins with a NUL. Node 20 truncates a
 * name that is too long or contains another NUL, and listens on the rest.
 */
export const unixPath = custom<string>(
  `a path of 1 to ${String(longestPath)} bytes`,
  (argument, value) => {
    if (typeof value !== 'string') throw new ArgumentTypeError(argument, 'of type string', value)
    if (value.length === 0) throw new ArgumentValueError(argument, 'must not be empty', value)
    if (value.includes('\0', 1))
      throw new ArgumentValueError(argument, 'must have no NUL but at its front', value)
    if (Buffer.byteLength(value) > longestPath) {
      const limit = `must have at most ${String(longestPath)} bytes (sun_path of unix(7))`
      throw new ArgumentValueError(argument, limit, value)
    }
    return value
  },
)

/**
 * Makes a server listen on a path.
 *
 * @returns the path, as in `server.address()`
 */
export async function listenOnPath(
  server: net.Server,
  path: string,
  backlog: number,
  settings: Settings,
): Promise<string> {
  try {
    await untilListening(server, () => {
      // Exclusive: a cluster worker opens its own socket too.
      server.listen({ path, backlog, exclusive: true })
      tuneBeforeListening(server, settings)
    })
  } catch (error) {
    throw refused(error as Error, path)
  }
  return path
}

/**
 * Tunes a server that has its socket but has not emitted 'listening' yet, so that no connection is accepted before. If
 * a setting is refused, closes the server.
 */
export function tuneBeforeListening(server: net.Server, settings: Settings): void {
  // Without a handle, listening has failed, and 'error' will follow.
  if (handleOf(server) === undefined || Object.keys(settings).length === 0) return
  try {
    tuneListening(server, settings)
  } catch (error) {
    server.close()
    throw error
  }
}

/** Adds the fix to Node's own error. */
function refused(error: Error, path: string): Error {
  const { code, errno, syscall } = error as NodeJS.ErrnoException
  if (code === undefined || errno === undefined || syscall !== 'listen') return error
  const [, text = code] = getSystemErrorMap().get(errno) ?? []
  const shown = path.replace('\0', '@')
  const reason = reasonOf('listenUnix', code, { address: shown })
  return new SocketTunerError(`listen ${code}: ${text} ${shown}${reason}`, {
    code,
    errno,
    syscall: 'listen',
    address: path,
    cause: error,
  })
}
