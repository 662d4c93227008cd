/** A standing close mode for every connection that a server accepts. */
import type * as net from 'node:net'
import { native } from '../binding'
import { tcpInfo } from '../observe/tcp-info'
import { setOption } from '../options/access'
import { handleOf } from '../target'
import { attachPolicy, type PolicyOptions } from './policy'
import type { CloseMode, CloseOutcome } from './report'

/** What the closes of a server's connections came to, since the mode was set. */
export interface CloseCounters {
  /** Closes by the mode that was used. */
  closes: Record<CloseMode, number>
  /** Closes in another mode than the one that was set. */
  fallbacks: number
  /** See {@link CloseReport.discardedBytes}. */
  discardedBytes: number
  unreadBytes: number
}

const policies = new WeakMap<net.Server, ServerPolicy>()

/** Sets the close mode of a server's connections from now on, in place of one set before. */
export function setServerPolicy(server: net.Server, options: PolicyOptions): ServerPolicy {
  policies.get(server)?.stop()
  const policy = new ServerPolicy(server, options)
  policies.set(server, policy)
  return policy
}

export class ServerPolicy {
  readonly counters: CloseCounters = {
    closes: { fin: 0, deliver: 0, lingering: 0, reset: 0 },
    fallbacks: 0,
    discardedBytes: 0,
    unreadBytes: 0,
  }
  readonly #server: net.Server
  readonly #options: PolicyOptions
  /** The listening socket hands TCP_LINGER2 to the connections it accepts. */
  #inherited = false
  /** Connections whose handshake was complete before it did: they wait to be accepted first. */
  #older = 0

  constructor(server: net.Server, options: PolicyOptions) {
    this.#server = server
    this.#options = options
    if (handleOf(server) === undefined) server.prependOnceListener('listening', this.#listening)
    else this.#listening()
    server.prependListener('connection', this.#connection)
    server.prependListener('secureConnection', this.#connection)
  }

  /** Lets connections accepted from now on close as Node does. */
  stop(): void {
    this.#server.off('listening', this.#listening)
    this.#server.off('connection', this.#connection)
    this.#server.off('secureConnection', this.#connection)
    if (this.#inherited && handleOf(this.#server) !== undefined)
      setOption(this.#server, 'TCP_LINGER2', 0)
    this.#inherited = false
  }

  readonly #listening = (): void => {
    const fd = handleOf(this.#server)?.fd
    // The listening socket of a cluster worker is out of reach, and a unix-domain one has no such option.
    if (this.#options.mode !== 'deliver' || fd === undefined || fd < 0 || native.localPort(fd) < 0)
      return
    setOption(fd, 'TCP_LINGER2', -1)
    this.#inherited = true
    this.#older = tcpInfo(fd).unacked ?? 0
  }

  readonly #connection = (socket: net.Socket): void => {
    // A TLS connection comes twice, first without TLS: what its carrier inherited stays known.
    const armed = this.#inherited && this.#older === 0
    if (this.#older > 0) this.#older--
    attachPolicy({ ...this.#options, socket, armed, awaited: false, closed: this.#closed })
  }

  readonly #closed = ({ mode, discardedBytes, unreadBytes }: CloseOutcome): void => {
    const { counters } = this
    counters.closes[mode]++
    if (mode !== this.#options.mode) counters.fallbacks++
    counters.discardedBytes += discardedBytes
    counters.unreadBytes += unreadBytes
  }
}
