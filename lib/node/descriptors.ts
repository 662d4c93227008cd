/** What this runtime lets a program know of the descriptors of its net.Sockets and net.Servers. */
import { SocketTunerError } from '../errors'

/** Why they have none; undefined where they have. */
export const whyNoDescriptor = withoutDescriptors()

/** Why none is made of a descriptor that was opened here; undefined where that can be. */
export const whyNoAdoption =
  process.versions.bun === undefined
    ? whyNoDescriptor
    : 'Bun takes no descriptor for a net.Socket or net.Server'

function withoutDescriptors(): string | undefined {
  if (process.platform === 'win32') return 'Node gives no descriptor of a socket on Windows'
  if (process.versions.deno === undefined) return undefined
  return 'Deno gives no descriptor of a socket and takes none'
}

/**
 * @param what what cannot be done
 * @throws ERR_SOCKET_TUNER_UNSUPPORTED
 */
export function requireAdoption(what: string, syscall: 'connect' | 'listen'): void {
  if (whyNoAdoption === undefined) return
  throw new SocketTunerError(`${what}: ${whyNoAdoption}`, {
    code: 'ERR_SOCKET_TUNER_UNSUPPORTED',
    syscall,
  })
}
