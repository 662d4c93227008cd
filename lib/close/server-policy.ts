/** A standing close mode for every connection that a server accepts. */
import type * as net from 'node:net'
import { isUnixDomain } from '../kernel/domain'
import { isAcceptedBy } from '../node/accepted'
import { handleOf, type Handle } from '../node/handle'
import { beforeLastWrites } from '../node/http-last-write'
import { tcpInfo } from '../observe/tcp-info'
import { setOption } from '../options/access'
import { isStreamSocket } from '../target'
import { setCork } from './cork'
import { hasLinger2, setForgotten } from './linger2'
import { LingeringGroup } from './lingering-group'
import { attachPolicy, observeClose, policyOf } from './hooks'
import { ClosePolicy, type PolicyOptions } from './mode'
import type { Closed } from './modes'
import { CloseTally, type CloseTotals } from './tally'

/** The closes of a server's connections since the mode was set. */
export interface CloseCounters extends CloseTotals {
  /** Connections that linger now: see mode `lingering`. */
  readonly lingering: number
  /** Connections whose lingering was ended because too many others came. */
  readonly evicted: number
}

const policies = new WeakMap<net.Server, ServerPolicy>()

/**
 * Sets the close mode of a server's connections from now on, in place of one set before.
 *
 * @param counted called after each close
 */
export function setServerPolicy(
  server: net.Server,
  options: PolicyOptions,
  counted?: () => void,
): ServerPolicy {
  policies.get(server)?.stop()
  const policy = new ServerPolicy(server, options, counted)
  policies.set(server, policy)
  return policy
}

/** Restores Node's own close for the connections that a server accepts from now on. */
export function removeServerPolicy(server: net.Server): void {
  policies.get(server)?.stop()
  policies.delete(server)
}

/** The close that was set for a server's connections, by setCloseMode(), tuneServer() or listen(). */
export function serverPolicyOf(server: net.Server): PolicyOptions | undefined {
  return policies.get(server)?.options
}

export class ServerPolicy {
  readonly #closes = new CloseTally()
  readonly #lingering = new LingeringGroup()
  readonly #server: net.Server
  readonly options: PolicyOptions
  readonly #counted: (() => void) | undefined
  /** The listening socket from which accepted connections inherit TCP_LINGER2. */
  #armed: Handle | undefined
  #stopHolding: (() => void) | undefined
  /** Connections that were in the accept queue before that, and did not inherit it. They are accepted first. */
  #older = 0

  constructor(server: net.Server, options: PolicyOptions, counted?: () => void) {
    this.#server = server
    this.options = options
    this.#counted = counted
    if (handleOf(server) !== undefined) this.#listening()
    server.prependListener('listening', this.#listening)
    server.prependListener('connection', this.#connection)
    server.prependListener('secureConnection', this.#secureConnection)
    if (options.mode.holdsLastWrite) this.#stopHolding = beforeLastWrites(server, setCork)
  }

  /** A snapshot. */
  counters(): CloseCounters {
    const { size: lingering, evicted } = this.#lingering
    return { ...this.#closes.totals, lingering, evicted }
  }

  /** Restores Node's own close for connections that are accepted from now on. */
  stop(): void {
    const server = this.#server
    server.off('listening', this.#listening)
    server.off('connection', this.#connection)
    server.off('secureConnection', this.#secureConnection)
    this.#stopHolding?.()
    const fd = this.#armed === handleOf(server) ? this.#armed?.fd : undefined
    if (fd === undefined || setForgotten(fd, false) < 0) return
    takeBack(server, tcpInfo(fd).unacked ?? 0)
  }

  readonly #listening = (): void => {
    const handle = handleOf(this.#server)
    const fd = handle?.fd
    // A cluster worker has no descriptor of its listening socket, and a unix-domain socket has no such option.
    if (!this.options.mode.inherited || fd === undefined || fd < 0) return
    if (!hasLinger2 || isUnixDomain(fd)) return
    setOption(fd, 'TCP_LINGER2', -1)
    this.#armed = handle
    this.#older = tcpInfo(fd).unacked ?? 0
  }

  readonly #connection = (socket: unknown): void => {
    // A program may emit 'connection' with any stream, or with a socket that another server accepted.
    if (!isStreamSocket(socket)) return
    this.#attach(socket, isAcceptedBy(this.#server, socket) && this.#handsDown())
  }

  /** The TLS socket of a connection whose carrier has a policy already. */
  readonly #secureConnection = (socket: net.Socket): void => {
    this.#attach(socket, policyOf(socket)?.armed ?? false)
  }

  #handsDown(): boolean {
    if (this.#armed === undefined || this.#armed !== handleOf(this.#server)) return false
    if (this.#older === 0) return true
    this.#older--
    return false
  }

  #attach(socket: net.Socket, armed: boolean): void {
    const lingering = this.#lingering
    attachPolicy(new ClosePolicy(socket, this.options, armed, lingering))
    observeClose(socket, this.#closed)
  }

  readonly #closed = (outcome: Closed): void => {
    this.#closes.add(outcome)
    this.#counted?.()
  }
}

export function noCloses(): CloseCounters {
  return { ...new CloseTally().totals, lingering: 0, evicted: 0 }
}

/** Resets TCP_LINGER2 on the next `count` connections, which inherited it before it was reset on the listener. */
function takeBack(server: net.Server, count: number): void {
  let left = count
  const connection = (socket: net.Socket): void => {
    const fd = handleOf(socket)?.fd ?? -1
    if (fd >= 0) setForgotten(fd, false)
    if (--left === 0) server.off('connection', connection)
  }
  if (left > 0) server.prependListener('connection', connection)
}
