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
  readonly #owner = {}
  readonly #records = new Int32Array(MOST_RECORDS * fields)
  readonly #input = Buffer.allocUnsafeSlow(INPUT_BYTES)
  /** The one that is notified of events. */
  listener: PollerEvents | undefined

  private constructor() {
    // Use open().
  }

  /** Returns undefined where sockets cannot be polled, which only Node on Linux can. Keeps the event loop alive. */
  static open(): Poller | undefined {
    // Bun exports the functions of libuv, and ends the process when one is called.
    if (process.platform !== 'linux' || process.versions.bun !== undefined) return undefined
    const poller = new Poller()
    const error = native.openPoller(
      poller.#owner,
      poller.#records,
      poller.#input,
      poller.#report.bind(poller),
    )
    return error < 0 ? undefined : poller
  }

  /**
   * Returns the slot of a socket whose connect() has begun, or a negated errno. The caller owns the descriptor, and
   * leaves it to the poller only when a worker thread ends.
   */
  watch(fd: number): number {
    return native.watchFd(this.#owner, fd)
  }

  /** Forgets a socket. To be called before it is closed. Nothing more is reported of it. */
  unwatch(of: number): void {
    native.unwatchSlot(this.#owner, of)
  }

  /** Sends bytes, and keeps those that the kernel does not take now. Returns the number it took, or a negated errno. */
  write(to: number, bytes: Uint8Array): number {
    return native.writeToSlot(this.#owner, to, bytes)
  }

  /** Returns the number of written bytes that the kernel has not taken yet. */
  queued(of: number): number {
    return Math.max(0, native.queuedInSlot(this.#owner, of))
  }

  /** Leaves the sockets open. */
  close(): void {
    native.closePoller(this.#owner)
  }

  #report(count: number): void {
    const records = this.#records
    const events = this.listener
    if (events === undefined) return
    try {
      for (let at = 0; at < count * fields; at += fields) {
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
    } finally {
      events.turned()
    }
  }
}
