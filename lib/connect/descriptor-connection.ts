/** Connections of a Connector that no net.Socket owns. */
import { closeDescriptor, type DescriptorEnd } from '../close/close-descriptor'
import type { PolicyOptions } from '../close/mode'
import { closeModes, type Observer } from '../close/modes'
import { plainClose } from '../close/close-options'
import type { SocketTunerError } from '../errors'
import { DescriptorStream } from '../node/descriptor-stream'
import {
  descriptorFailure,
  dialDescriptor,
  settle,
  type Attempt,
  type RemoteEnd,
  type Plan,
} from './attempt'
import { counterOf, tuningOf, type Connector } from './connector'

/**
 * Opens connections to one destination with the tuning of a Connector, and closes them in its mode. Sets TCP_NODELAY,
 * unless the settings do.
 */
export class DescriptorDialer {
  readonly #to: RemoteEnd
  readonly #plan: Plan
  readonly #close: PolicyOptions
  readonly #count: Observer | undefined

  constructor(connector: Connector, to: RemoteEnd) {
    const tuning = tuningOf(connector)
    this.#to = to
    this.#plan = { tuning, localAddress: tuning.localAddress, localPort: 0, noDelay: true }
    this.#close = tuning.policy ?? plainClose(closeModes.fin)
    this.#count = tuning.policy === undefined ? undefined : counterOf(connector)
  }

  /** Begins to connect. @throws SocketTunerError with the errno name if socket(2), bind(2) or connect(2) fails */
  open(): DescriptorConnection {
    const { fd, attempt, connectMs } = dialDescriptor(this.#plan, this.#to)
    return new DescriptorConnection(this, fd, attempt, connectMs)
  }

  /** Returns the error of a connection that failed. @param errno positive */
  failureOf(errno: number, attempt: Attempt): SocketTunerError {
    return descriptorFailure(-errno, this.#plan, attempt, this.#to, true)
  }

  close(stream: DescriptorStream, attempt: Attempt, end: DescriptorEnd): void {
    closeDescriptor(stream, this.#close, end, (closed) => {
      this.#count?.(closed)
      settle(attempt, closed)
    })
  }
}

/** One connection. The one who polls it counts its bytes. */
export class DescriptorConnection extends DescriptorStream {
  /** The duration of connect(2), ms. */
  readonly connectMs: number
  readonly #dialer: DescriptorDialer
  readonly #attempt: Attempt

  constructor(dialer: DescriptorDialer, fd: number, attempt: Attempt, connectMs: number) {
    super(fd)
    this.connectMs = connectMs
    this.#dialer = dialer
    this.#attempt = attempt
  }

  /** Returns the error for an errno that connect(2) or a later call left. @param errno positive */
  failureOf(errno: number): SocketTunerError {
    return this.#dialer.failureOf(errno, this.#attempt)
  }

  /** Closes the descriptor. */
  close(end: DescriptorEnd): void {
    this.#dialer.close(this, this.#attempt, end)
  }
}
