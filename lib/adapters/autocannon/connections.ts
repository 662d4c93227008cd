import type * as net from 'node:net'
import type * as tls from 'node:tls'
import { attachPolicy, observeClose, policyOf } from '../../close/hooks'
import type { CloseOutcome } from '../../close/report'
import { connectTuned } from '../../connect/connect'
import { connectTls } from '../../connect/connect-tls'
import type { Tuning } from '../../connect/tuning'
import type { SharedCounters } from './counters'

/** Opens the connections of the clients of one thread, and keeps account of them. */
export class Connections {
  readonly #tuning: Tuning
  readonly #counters: SharedCounters

  constructor(tuning: Tuning, counters: SharedCounters) {
    this.#tuning = tuning
    this.#counters = counters
  }

  /** @param refused called first of all when no connection comes of it */
  connect(options: net.NetConnectOpts, refused: () => void): net.Socket {
    return this.#account(connectTuned(options, this.#tuning), refused)
  }

  /** The same over TLS. */
  connectTls(options: tls.ConnectionOptions & net.NetConnectOpts, refused: () => void): net.Socket {
    return this.#account(connectTls(options, this.#tuning), refused)
  }

  #account(socket: net.Socket, refused: () => void): net.Socket {
    let connected = false
    socket.once('connect', () => {
      connected = true
      this.#counters.add('created')
    })
    socket.once('error', () => {
      if (connected) return
      this.#counters.add('failed')
      refused()
    })
    const { policy } = this.#tuning
    if (policy !== undefined && policyOf(socket) === undefined)
      attachPolicy({ ...policy, socket, armed: false })
    observeClose(socket, (outcome) => {
      if (connected) this.#count(outcome)
    })
    return socket
  }

  #count({ mode, fallback, timeWait }: CloseOutcome): void {
    this.#counters.add(mode)
    if (fallback !== undefined) this.#counters.add(fallback.code)
    if (timeWait === 'here') this.#counters.add('timeWaitLeft')
  }
}
