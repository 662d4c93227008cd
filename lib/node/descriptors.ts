/** Whether this runtime exposes the descriptors of net.Socket and net.Server, and accepts foreign ones. */
import { SocketTunerError } from '../errors'

/** Why descriptors are not exposed; undefined if they are. */
export const whyNoDescriptor = withoutDescriptors()

/** Why no socket or server can be created on a foreign descriptor; undefined if it can. */
export const whyNoAdoption =
  process.versions.bun === undefined
    ? whyNoDescriptor
    : 'Bun cannot create a net.Socket or net.Server on a descriptor'

function withoutDescriptors(): string | undefined {
  if (process.platform === 'win32') return 'Node exposes no socket descriptors on Windows'
  if (process.versions.deno === undefined) return undefined
  return 'Deno neither exposes nor accepts socket descriptors'
}

/**
 * @param what the failed operation, as the beginning of the message
 * @throws ERR_SOCKET_TUNER_UNSUPPORTED
 */
export function requireAdoption(what: string, syscall: 'connect' | 'listen'): void {
  if (whyNoAdoption === undefined) return
  throw new SocketTunerError(`${what}: ${whyNoAdoption}`, {
    code: 'ERR_SOCKET_TUNER_UNSUPPORTED',
    syscall,
  })
}
