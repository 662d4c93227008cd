/** Polls many sockets from the event loop, without a net.Socket for each: see native/kernel/poller.h. */
import { Buffer } from 'node:buffer'
import { native } from './binding'
import { pollerFields, pollerKinds } from './layouts'

/** Called with the slot of a socket. */
export interface PollerEvents {
  /** connect() is complete. */
  opened(slot: number): void
  /** Input was read. The bytes are valid until the call returns. */
  input(slot: number, buffer: Buffer, from: number, to: number): void
  /** The peer's FIN was read. */
  ended(slot: number): void
  /** @param errno positive */
  failed(slot: number, errno: number): void
  /** All events of this turn have been reported. */
  turned(): void
}

const MOST_RECORDS = 1_024
const INPUT_BYTES = 256 * 1_024

const { slot, kind, number, offset, fields } = pollerFields

export class Poller {
  /** Negative if it could not be opened. */
  readonly #number: number
  readonly #records = new Int32Array(MOST_RECORDS * fields)
  readonly #input = Buffer.allocUnsafeSlow(INPUT_BYTES)
  /** The one that is notified of events. */
  listener: PollerEvents | undefined

  private constructor() {
    this.#number = native.openPoller(this.#records, this.#input, this.#report.bind(this))
  }

  /** Returns undefined where sockets cannot be polled, which only Node on Linux can. Keeps the event loop alive. */
  static open(): Poller | undefined {
    // Bun exports the functions of libuv, and ends the process when one is called.
    if (process.platform !== 'linux' || process.versions.bun !== undefined) return undefined
    const poller = new Poller()
    return poller.#number < 0 ? undefined : poller
  }

  /**
   * Returns the slot of a socket whose connect() has begun, or a negated errno. The caller owns the descriptor, and
   * leaves it to the poller only when a worker thread ends.
   */
  watch(fd: number): number {
    return native.watchFd(this.#number, fd)
  }

  /** Forgets a socket, of which nothing more is reported. To be called right before it is closed. */
  unwatch(of: number): void {
    native.unwatchSlot(this.#number, of)
  }

  /** Sends bytes, and keeps those that the kernel does not take now. Returns the number it took, or a negated errno. */
  write(to: number, bytes: Uint8Array): number {
    return native.writeToSlot(this.#number, to, bytes)
  }

  /** Returns the number of written bytes that the kernel has not taken yet. */
  queued(of: number): number {
    return Math.max(0, native.queuedInSlot(this.#number, of))
  }

  /** Leaves the sockets open. */
  close(): void {
    native.closePoller(this.#number)
  }

  #report(count: number): void {
    const events = this.listener
    if (events === undefined) return
    for (let at = 0; at < count * fields; at += fields) {
      try {
        this.#reportOne(events, at)
      } catch (error) {
        // The rest of the turn would never be reported again.
        queueMicrotask(() => {
          throw error
        })
      }
    }
    events.turned()
  }

  #reportOne(events: PollerEvents, at: number): void {
    const records = this.#records
    const of = records[at + slot] ?? 0
    const value = records[at + number] ?? 0
    switch (records[at + kind]) {
      case pollerKinds.opened:
        events.opened(of)
        break
      case pollerKinds.input: {
        const from = records[at + offset] ?? 0
        events.input(of, this.#input, from, from + value)
        break
      }
      case pollerKinds.ended:
        events.ended(of)
        break
      case pollerKinds.failed:
        events.failed(of, value)
    }
  }
}
