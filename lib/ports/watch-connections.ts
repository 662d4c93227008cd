import { isIPv6 } from 'node:net'
import { plainAddress } from '../kernel/addresses'
import { EndedSocketFeed, wasConnected, type EndedSocketRecords } from '../kernel/ended-sockets'
import { announce } from '../warnings'
import { BacklogFeed } from './backlog-feed'
import { ConnectionLooks } from './connection-looks'
import {
  watchConnectionsOptions,
  type CheckedConnectionWatch,
  type WatchConnectionsOptions,
} from './connection-watch-options'
import { connectionOf, type EndedConnection } from './ended-connection'

/** The counts of a watch so far. */
export interface ConnectionCounts {
  /** Ended sockets that had been connected, whether they match the filter or not. */
  readonly seen: number
  /** Of these, the ones that were reported. */
  readonly reported: number
  /**
   * Ended sockets that the kernel could not report, because the receive buffer was full. The kernel counts them exactly,
   * before the filter and with those that were never connected.
   */
  readonly lost: number
  /** Ended sockets that were never connected: listening ones, and those whose connect() failed. */
  readonly notConnected: number
  /** Reports that a loop did not get because it was slower than `backlog` allows; summed over all loops. */
  readonly skipped: number
  /** Looks at the living sockets that failed. Processes and lifetimes are then less known. */
  readonly failedLooks: number
}

/** A running watch. `for await` yields each connection that is reported after the loop has begun. */
export interface ConnectionWatch extends AsyncIterable<EndedConnection>, Disposable {
  /** False once the watch was stopped or has failed. */
  readonly running: boolean
  /** Resolves when the watch is stopped. Rejects with the error when it fails. Its rejection is never unhandled. */
  readonly ended: Promise<void>
  counters(): ConnectionCounts
  /** Ends the watch and, after what they have not taken yet, every loop over it. May be called twice. */
  stop(): void
}

/**
 * Reports each TCP connection that ends in this network namespace, of whichever process: its addresses, how many bytes
 * and segments it moved, retransmits, round-trip times, and which end closed it. The kernel broadcasts them when it
 * frees a socket (SKNLGRP_INET_TCP_DESTROY of sock_diag(7)), which needs no privilege and no eBPF.
 *
 * A connection is reported when its socket is freed: once it has closed, and no descriptor refers to it. A connection
 * that leaves TIME_WAIT is reported when the entry begins, and bytes that arrive after that are not counted.
 *
 * The kernel reports neither the process nor the age. The watch therefore looks at the living sockets, once a second
 * and with less than 1 % of a core (`looks`). A connection that is shorter than the time between two looks has no
 * `uid`, and its process is known only if it is the single one that listens on the local port. Processes of other users
 * are found with CAP_SYS_PTRACE only.
 *
 * If the event loop is held up for long, or many thousands of connections end at once, the kernel's buffer may
 * overflow: counters().lost has the exact number. The watch starts at once, and ends by stop(), by its signal, or when
 * the last loop over it ends. It does not keep the process alive. Linux, Node.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_SOCKET_TUNER_UNKNOWN_OPTION;
 *   ERR_SOCKET_TUNER_UNSUPPORTED if ended connections are not reported here; the name of the errno if the kernel
 *   refuses
 */
export function watchConnections(options: WatchConnectionsOptions = {}): ConnectionWatch {
  return new RunningWatch(watchConnectionsOptions.check('options', options))
}

class RunningWatch implements ConnectionWatch {
  readonly #options: CheckedConnectionWatch
  readonly #matches: (connection: EndedConnection) => boolean
  readonly #sockets: EndedSocketFeed
  readonly #looks: ConnectionLooks | undefined
  readonly #feed: BacklogFeed<EndedConnection>
  readonly #onAbort = (): void => {
    this.stop()
  }
  #running = true
  #seen = 0
  #reported = 0
  #notConnected = 0
  #settle: { resolve: () => void; reject: (error: Error) => void } | undefined
  readonly ended: Promise<void>

  constructor(options: CheckedConnectionWatch) {
    const { signal, looks, intervalMs, receiveBufferBytes, backlog, filter } = options
    this.#options = options
    this.#matches = matcherOf(filter)
    this.#feed = new BacklogFeed<EndedConnection>(backlog, this.#onAbort)
    this.#sockets = new EndedSocketFeed(receiveBufferBytes, {
      ended: (records, count) => {
        this.#take(records, count)
      },
      failed: (error) => {
        this.#end(error)
      },
    })
    this.#looks = looks ? new ConnectionLooks(intervalMs) : undefined
    this.ended = new Promise<void>((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
    this.ended.catch(() => undefined)
    if (signal?.aborted === true) this.stop()
    else signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  get running(): boolean {
    return this.#running
  }

  [Symbol.asyncIterator](): AsyncIterator<EndedConnection, undefined> {
    return this.#feed.read()
  }

  [Symbol.dispose](): void {
    this.stop()
  }

  counters(): ConnectionCounts {
    return {
      seen: this.#seen,
      reported: this.#reported,
      lost: this.#sockets.lost,
      notConnected: this.#notConnected,
      skipped: this.#feed.skipped,
      failedLooks: this.#looks?.failed ?? 0,
    }
  }

  stop(): void {
    this.#end(undefined)
  }

  #end(error: Error | undefined): void {
    if (!this.#running) return
    this.#running = false
    this.#sockets.close()
    this.#looks?.stop()
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
    this.#feed.end(error)
    if (error === undefined) {
      this.#settle?.resolve()
      return
    }
    this.#settle?.reject(error)
    const text = `The watch of ended connections has ended: ${error.message}`
    announce('SOCKET_TUNER_WATCH_ENDED', `${error.message} connections`, text)
  }

  #take(records: EndedSocketRecords, count: number): void {
    const now = performance.now()
    for (let index = 0; index < count; index++) {
      if (!wasConnected(records, index)) {
        this.#notConnected++
        continue
      }
      this.#seen++
      const connection = connectionOf(records, index, this.#looks, now)
      if (!this.#matches(connection)) continue
      this.#reported++
      this.#feed.push(connection)
      this.#notify(connection)
      // The callback may have stopped the watch.
      if (!this.#running) return
    }
  }

  #notify(connection: EndedConnection): void {
    try {
      this.#options.onConnection?.(connection)
    } catch (error) {
      // The other connections of this turn are still to be reported.
      process.nextTick(() => {
        throw error
      })
    }
  }
}

/** An address that is not known matches no filter by address or port. */
function matcherOf({
  localAddress,
  localPort,
  remoteAddress,
  remotePort,
  localPortRange,
}: CheckedConnectionWatch['filter']): (connection: EndedConnection) => boolean {
  const local = localAddress === undefined ? undefined : plainAddress(localAddress)
  const remote = remoteAddress === undefined ? undefined : plainAddress(remoteAddress)
  const isAt = (address: string | undefined, wanted: string): boolean =>
    address !== undefined && (isIPv6(address) ? plainAddress(address) : address) === wanted
  return (connection) =>
    (localPort === undefined || connection.localPort === localPort) &&
    (remotePort === undefined || connection.remotePort === remotePort) &&
    (localPortRange === undefined ||
      (connection.localPort >= localPortRange.min && connection.localPort <= localPortRange.max)) &&
    (local === undefined || isAt(connection.localAddress, local)) &&
    (remote === undefined || isAt(connection.remoteAddress, remote))
}
