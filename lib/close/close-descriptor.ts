/** Closes a connection that no net.Socket owns. */
import { native } from '../kernel/binding'
import type { DescriptorStream } from '../node/descriptor-stream'
import { conclude } from './conclude'
import type { Fallback } from './fallback'
import type { ClosingPolicy, PolicyOptions } from './mode'
import type { Observer } from './modes'

class DescriptorPolicy implements ClosingPolicy {
  readonly socket: DescriptorStream
  readonly options: PolicyOptions
  armed = false
  readonly lingering = undefined
  readonly awaited = undefined
  readonly held = false
  cause: Fallback | undefined = undefined
  cut: ((cause: Fallback) => void) | undefined = undefined
  abort: (() => void) | undefined = undefined

  constructor(socket: DescriptorStream, options: PolicyOptions) {
    this.socket = socket
    this.options = options
  }
}

export interface DescriptorEnd {
  /** The error that ended the connection. */
  readonly error: Error | undefined
  /** Whether it was ever open. */
  readonly wasOpen: boolean
}

/**
 * Closes the descriptor of a stream in a mode.
 *
 * @param done called when the close is complete: at once, unless the mode waits for the peer
 */
export function closeDescriptor(
  stream: DescriptorStream,
  options: PolicyOptions,
  { error, wasOpen }: DescriptorEnd,
  done: Observer,
): void {
  const { fd } = stream
  const policy = new DescriptorPolicy(stream, options)
  const mode = error === undefined ? options.mode : (options.onError ?? options.mode)
  mode.close({ policy, fd, finOrder: undefined, streamEnded: stream.readableEnded }, (outcome) => {
    done(conclude(wasOpen ? outcome : { ...outcome, wasOver: true }, policy))
  })
  stream.destroyed = true
  native.closeFd(fd)
}
