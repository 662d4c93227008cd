import type * as net from 'node:net'
import type * as tls from 'node:tls'
import { observeClose } from '../../close/hooks'
import type { Closed } from '../../close/modes'
import type { Connector } from '../../connect/connector'
import { carrierOf } from '../../node/handle'
import type { SharedCounters } from './socket-counters'

/** The client that a connection belongs to. */
export interface Owner {
  /** Called when an attempt to connect fails, before autocannon's own listeners. */
  readonly refused: () => void
  /** Whether its run is over. */
  readonly isDone: () => boolean
}

const UNANSWERED =
  "No answer to the SYN within autocannon's timeout: the host is down, a firewall drops the segments, or " +
  'the queue of the listening socket is full'

/** Opens and counts the connections of the clients of one thread. */
export class CountedConnections {
  readonly #connector: Connector
  readonly #counters: SharedCounters

  constructor(connector: Connector, counters: SharedCounters) {
    this.#connector = connector
    this.#counters = counters
  }

  connect(options: net.NetConnectOpts, owner: Owner): net.Socket {
    return this.#account(this.#connector.connect(options), owner)
  }

  /** The same over TLS. */
  connectTls(options: tls.ConnectionOptions & net.NetConnectOpts, owner: Owner): net.Socket {
    return this.#account(this.#connector.connectTls(options), owner)
  }

  #account(socket: net.Socket, owner: Owner): net.Socket {
    let state: 'unused' | 'connecting' | 'connected' | 'over' = 'unused'
    // autocannon may give up a connection in the same tick, before connect(2).
    process.nextTick(() => {
      if (state === 'unused' && !socket.destroyed) state = 'connecting'
    })
    socket.once('connect', () => {
      state = 'connected'
      this.#counters.add('created')
    })
    socket.once('error', ({ name, code = name, message }: NodeJS.ErrnoException) => {
      if (state === 'connected') {
        this.#counters.addFailure('broken', code, message)
        return
      }
      state = 'over'
      this.#counters.addFailure('failed', code, message)
      owner.refused()
    })
    observeClose(socket, (outcome) => {
      if (state === 'connected') this.#count(outcome)
      if (state !== 'connecting' || hasError(socket)) return
      // autocannon destroyed the connection at its timeout or at the end of the run.
      state = 'over'
      if (owner.isDone()) this.#counters.add('unfinished')
      else this.#counters.addFailure('failed', 'ETIMEDOUT', UNANSWERED)
    })
    return socket
  }

  #count({ mode, fallback, timeWait }: Closed): void {
    this.#counters.add(mode)
    if (fallback !== undefined) this.#counters.add(fallback.code)
    if (timeWait === 'here') this.#counters.add('timeWaitLeft')
  }
}

/** Whether the socket ends with an 'error', which may be emitted later. */
function hasError(socket: net.Socket): boolean {
  return socket.errored !== null || carrierOf(socket).errored !== null
}
