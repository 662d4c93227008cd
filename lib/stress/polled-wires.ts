/** Wires that are polled descriptors. */
import type { Buffer } from 'node:buffer'
import { constants as os } from 'node:os'
import { getSystemErrorName } from 'node:util'
import type { RemoteEnd } from '../connect/attempt'
import type { Connector } from '../connect/connector'
import { DescriptorDialer, type DescriptorConnection } from '../connect/descriptor-connection'
import { SocketTunerError } from '../errors'
import { Poller, type PollerEvents } from '../kernel/poller'
import { tcpInfo, type TcpInfo } from '../observe/tcp-info'
import type { Wire, WireUser, Wires } from './wire'

/** The target has closed, and the kernel may still have what it sent before. */
const BROKEN: readonly number[] = [os.errno.EPIPE, os.errno.ECONNRESET]

export class PolledWires implements Wires, PollerEvents {
  readonly areSecured = false
  readonly #dialer: DescriptorDialer
  readonly #timed: (connectMs: number) => void
  readonly #poller: Poller
  /** By slot. */
  readonly #wires: (PolledWire | undefined)[] = []
  /** Closed wires whose users are not notified yet. */
  #closed: PolledWire[] = []
  /** The moment at which the events of this turn were read; 0 between two turns. */
  #turnMs = 0

  private constructor(
    poller: Poller,
    connector: Connector,
    to: RemoteEnd,
    timed: (connectMs: number) => void,
  ) {
    this.#poller = poller
    this.#dialer = new DescriptorDialer(connector, to)
    this.#timed = timed
    poller.listener = this
  }

  /**
   * Returns undefined where descriptors cannot be polled.
   *
   * @param timed called with the duration of each connect(2), ms
   */
  static openTo(
    connector: Connector,
    to: RemoteEnd,
    timed: (connectMs: number) => void,
  ): PolledWires | undefined {
    const poller = Poller.open()
    return poller === undefined ? undefined : new PolledWires(poller, connector, to, timed)
  }

  open(user: WireUser): Wire {
    const poller = this.#poller
    const connection = this.#dialer.open()
    this.#timed(connection.connectMs)
    const slot = poller.watch(connection.fd)
    if (slot < 0) {
      const error = failure('epoll_ctl', -slot)
      connection.close({ wasOpen: false, error })
      throw error
    }
    const wire = new PolledWire(this, poller, slot, connection, user)
    this.#wires[slot] = wire
    return wire
  }

  close(): void {
    this.#poller.close()
  }

  opened(slot: number): void {
    this.#wires[slot]?.opened(this.#now())
  }

  input(slot: number, buffer: Buffer, from: number, to: number): void {
    this.#wires[slot]?.input(buffer, from, to, this.#now())
  }

  ended(slot: number): void {
    this.#wires[slot]?.ended(this.#now())
  }

  failed(slot: number, errno: number): void {
    this.#wires[slot]?.failed(errno)
  }

  turned(): void {
    this.#turnMs = 0
    this.#notify()
  }

  /** Forgets a wire, and notifies its user once the events of this turn are handled. */
  forget(slot: number, wire: PolledWire): void {
    this.#wires[slot] = undefined
    this.#closed.push(wire)
    if (this.#turnMs === 0 && this.#closed.length === 1)
      process.nextTick(() => {
        this.#notify()
      })
  }

  #now(): number {
    return (this.#turnMs ||= performance.now())
  }

  #notify(): void {
    const closed = this.#closed
    if (closed.length === 0) return
    this.#closed = []
    for (const wire of closed) wire.notify()
  }
}

class PolledWire implements Wire {
  readonly #wires: PolledWires
  readonly #poller: Poller
  readonly #slot: number
  readonly #connection: DescriptorConnection
  readonly #user: WireUser
  #isOpen = false
  #mayQueue = false
  /** The errno of a write to a target that had closed. */
  #broken = 0
  #error: Error | undefined
  #closedMs = 0

  constructor(
    wires: PolledWires,
    poller: Poller,
    slot: number,
    connection: DescriptorConnection,
    user: WireUser,
  ) {
    this.#wires = wires
    this.#poller = poller
    this.#slot = slot
    this.#connection = connection
    this.#user = user
  }

  write(bytes: Buffer): void {
    const taken = this.#poller.write(this.#slot, bytes)
    this.#connection.bytesWritten += bytes.length
    if (taken === bytes.length) return
    if (taken >= 0) {
      this.#mayQueue = true
      return
    }
    this.#broken = -taken
    // An event of the end will follow, after what the target sent before.
    if (BROKEN.includes(-taken)) return
    process.nextTick(() => {
      if (!this.#connection.destroyed) this.#fail(failure('write', -taken))
    })
  }

  close(): void {
    const connection = this.#connection
    if (connection.destroyed) return
    if (this.#mayQueue) connection.writeQueueSize = this.#poller.queued(this.#slot)
    this.#poller.unwatch(this.#slot)
    connection.close({
      wasOpen: this.#isOpen,
      error: this.#error,
    })
    this.#closedMs = performance.now()
    this.#wires.forget(this.#slot, this)
  }

  info(): TcpInfo {
    return tcpInfo(this.#connection)
  }

  opened(nowMs: number): void {
    this.#isOpen = true
    this.#user.connected(nowMs, 0)
  }

  input(buffer: Buffer, from: number, to: number, nowMs: number): void {
    this.#connection.bytesRead += to - from
    this.#user.received(buffer, from, to, nowMs)
  }

  ended(nowMs: number): void {
    this.#connection.readableEnded = true
    if (this.#broken > 0) this.#fail(failure('write', this.#broken))
    else this.#user.ended(nowMs)
  }

  failed(errno: number): void {
    this.#fail(this.#isOpen ? failure('read', errno) : this.#connection.failureOf(errno))
  }

  notify(): void {
    this.#user.closed(this.#closedMs)
  }

  #fail(error: SocketTunerError): void {
    this.#error = error
    this.#user.failed(error)
    // As a net.Socket, which its own error destroys.
    this.close()
  }
}

/** An error like those of Node. @param errno positive */
function failure(syscall: string, errno: number): SocketTunerError {
  const code = getSystemErrorName(-errno)
  return new SocketTunerError(`${syscall} ${code}`, { code, errno: -errno, syscall })
}
