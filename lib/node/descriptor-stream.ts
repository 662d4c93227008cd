/** Stands for a net.Socket where a descriptor has none: it has the members of a socket that this library reads. */
import type * as net from 'node:net'
import type { Handle } from './handle'

/** What a close reads of a stream. A net.Socket has it too. */
export type StreamLike = Pick<
  net.Socket,
  'bytesWritten' | 'destroyed' | 'readableEnded' | 'writableLength'
>

export class DescriptorStream implements StreamLike, Handle {
  readonly fd: number
  bytesRead = 0
  /** Including those that wait in this process. */
  bytesWritten = 0
  /** Written bytes that the kernel has not taken yet. */
  writeQueueSize = 0
  /** Nothing waits above the handle. */
  readonly writableLength = 0
  destroyed = false
  /** Whether the peer's FIN was read. */
  readableEnded = false
  /** As on a socket that this process connects. */
  readonly server = null

  constructor(fd: number) {
    this.fd = fd
  }

  get _handle(): Handle {
    return this
  }
}
