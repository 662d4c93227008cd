/** Tunes the client sockets of the process. */
import * as net from 'node:net'
import { endpoint, type IpFamily } from '../connect/address'
import type { RemoteEnd } from '../connect/attempt'
import { connectorOf, type Connector } from '../connect/connector'
import {
  adopt,
  giveUpAttempt,
  prepareBind,
  prepareConnect,
  release,
  type OwnBind,
} from '../connect/foreign'
import { tuningOptions } from '../connect/tuning'
import { followConnects, type AttemptOptions } from '../node/every-socket'
import { carrierOf, transportFd, transportHandleOf, type Handle } from '../node/handle'
import { isPrepared, isTcp } from '../node/tcp-handle'
import { applySettings } from '../options/tune'
import { closesText } from './closes'
import type { ClientsConfiguration } from './config'
import { causeOf, reportText, settingsText, type Log } from './log'
import { plansOf, type FamilyPlan, type FamilyPlans } from './plans'

/** The state of one socket. */
interface KnownSocket {
  /** The socket does not match the configuration, or the program tunes it. */
  leftAlone: boolean
  /** The program's own `localAddress`, if the kernel chooses the port. */
  ownBind: (OwnBind & Pick<AttemptOptions, 'host' | 'port'>) | undefined
  /** The handle whose descriptor this library opened, before Node's bind(). */
  opened: Handle | undefined
}

type OnAttempt = (this: net.Socket, address: string, port: number, family: IpFamily) => void
type OnLookup = (this: net.Socket, error: Error | null, address: string, family: unknown) => void

export class Clients {
  readonly #configuration: ClientsConfiguration
  readonly #plans: FamilyPlans
  /** Closes connections of both families: the mode must be set before the family is known. */
  readonly #closes: Connector
  readonly #log: Log
  readonly #known = new WeakMap<net.Socket, KnownSocket>()
  readonly #onAttempt: OnAttempt
  readonly #onLookup: OnLookup
  readonly #counts = { tuned: 0, leftAlone: 0, notTuned: 0 }

  constructor(configuration: ClientsConfiguration, log: Log) {
    this.#configuration = configuration
    this.#log = log
    this.#plans = plansOf(configuration, log)
    const closing = { ...tuningOptions.check('options', {}), close: configuration.policy }
    this.#closes = connectorOf(closing, () => {
      log.counted()
    })
    const attempt = this.#attempt.bind(this)
    this.#onAttempt = function onAttempt(address, port, family) {
      attempt(this, { address, port, family })
    }
    const beforeBind = this.#beforeBind.bind(this)
    this.#onLookup = function onLookup(error, address) {
      if (!error) beforeBind(this, address)
    }
  }

  /** Tunes every socket that connects from now on. */
  install(): void {
    followConnects(
      (socket, options) => this.#before(socket, options),
      (socket, known: KnownSocket) => {
        this.#after(socket, known)
      },
    )
  }

  /** Moves the close mode to a TLS socket over an existing connection, which is what the program will close. */
  addedTls(socket: net.Socket): void {
    const known = this.#known.get(carrierOf(socket))
    if (known?.leftAlone === false) adopt(this.#closes, socket)
  }

  get summary(): string {
    const { tuned, leftAlone, notTuned } = this.#counts
    const sockets = `${String(tuned)} attempts tuned, ${String(leftAlone)} left alone, ${String(notTuned)} not tuned`
    const { policy } = this.#configuration
    return `clients: ${sockets}${policy === undefined ? '' : `; ${closesText(this.#closes.counters())}`}`
  }

  /** Returns undefined for a socket that already has a descriptor: its creator is responsible for it. */
  #before(socket: net.Socket, options: AttemptOptions | undefined): KnownSocket | undefined {
    if (transportFd(socket) >= 0) return undefined
    const known: KnownSocket = { leftAlone: false, ownBind: ownBindOf(options), opened: undefined }
    this.#known.set(socket, known)
    // The socket may be connecting for the second time.
    socket.off('connectionAttempt', this.#onAttempt)
    socket.on('connectionAttempt', this.#onAttempt)
    socket.off('lookup', this.#onLookup)
    // Node emits 'lookup' right before it binds, possibly in this tick.
    if (known.ownBind !== undefined) socket.on('lookup', this.#onLookup)
    return known
  }

  /** Node has created a handle, and usually connects in a later tick. */
  #after(socket: net.Socket, { leftAlone, ownBind }: KnownSocket): void {
    if (leftAlone || socket.destroyed || !isTcp(transportHandleOf(socket))) return
    adopt(this.#closes, socket)
    // Node emits no 'lookup' if the host is an address.
    if (typeof ownBind?.host === 'string') this.#beforeBind(socket, ownBind.host)
  }

  /**
   * Opens the descriptor before Node binds it to the program's address, which is before 'connectionAttempt'.
   * Without IP_BIND_ADDRESS_NO_PORT, bind() would block the port for all other destinations.
   */
  #beforeBind(socket: net.Socket, address: string): void {
    const family = net.isIP(address)
    const known = this.#known.get(socket)
    const handle = transportHandleOf(socket)
    if (family === 0 || known?.ownBind === undefined || !isTcp(handle)) return
    if (isPrepared(handle) || (handle.fd ?? -1) >= 0) return
    const { ownBind } = known
    const to: RemoteEnd = {
      family: family as IpFamily,
      address,
      port: Number(ownBind.port),
    }
    if (!this.#configuration.match.has(to.address, to.port, to.family)) return
    try {
      prepareBind(this.#plans[to.family].connector, handle, to, ownBind)
      known.opened = handle
    } catch {
      // Node opens the descriptor itself, and the attempt reports the error.
    }
  }

  /** Called right before connect(2), for each address. Never throws, because Node would then not connect. */
  #attempt(socket: net.Socket, to: RemoteEnd): void {
    const { address, port, family } = to
    const text = endpoint(address, port)
    try {
      const handle = transportHandleOf(socket)
      const known = this.#known.get(socket)
      if (handle === undefined || known === undefined) return
      if (isPrepared(handle)) this.#leave(socket, known, `${text}: the program tunes it itself`)
      else if (!this.#configuration.match.has(address, port, family))
        this.#leave(socket, known, `${text}: not in clients.match`)
      else this.#begin(socket, handle, known, text, this.#plans[family])
    } catch (error) {
      this.#failed(text, error)
    }
  }

  #leave(socket: net.Socket, known: KnownSocket, why: string): void {
    if (!known.leftAlone) this.#count('leftAlone')
    known.leftAlone = true
    release(socket)
    this.#log.line(`client ${why}`)
  }

  #begin(
    socket: net.Socket,
    handle: Handle,
    known: KnownSocket,
    to: string,
    plan: FamilyPlan,
  ): void {
    // An earlier address of this host did not match.
    if (known.leftAlone) adopt(this.#closes, socket)
    known.leftAlone = false
    const { wanted, connector } = plan
    const report = (failure: Error | undefined): void => {
      if (failure !== undefined) this.#failed(to, failure)
      else this.#done(to, `${settingsText(wanted)}${isOwn ? BOUND : ''}`)
    }
    const isOwn = known.opened === handle
    if (isOwn) {
      prepareConnect(connector, socket, handle, report, known.ownBind)
    } else if (plan.isEmpty) {
      giveUpAttempt(socket)
      this.#done(to, settingsText({}))
    } else if ((handle.fd ?? -1) >= 0) {
      // Node has bound the socket to the program's own port, so the source cannot change.
      giveUpAttempt(socket)
      this.#done(to, `${reportText(applySettings(socket, plan.settings))}${BOUND}`)
    } else {
      prepareConnect(connector, socket, handle, report)
    }
  }

  #count(what: 'tuned' | 'leftAlone' | 'notTuned'): void {
    this.#counts[what]++
    this.#log.counted()
  }

  #done(to: string, options: string): void {
    this.#count('tuned')
    if (!this.#log.debug) return
    const { policy } = this.#configuration
    this.#log.line(
      `client ${to}: ${options}${policy === undefined ? '' : `; closes: ${policy.mode.name}`}`,
    )
  }

  #failed(to: string, error: unknown): void {
    this.#count('notTuned')
    const { message } = error as Error
    this.#log.trouble(causeOf(error), `client ${to} is not tuned: ${message}`)
  }
}

const BOUND = '; bound by the program'

/** Returns undefined if the program chose the port too, or if Node will refuse the address. */
function ownBindOf({
  localAddress,
  localPort,
  host,
  port,
}: AttemptOptions = {}): KnownSocket['ownBind'] {
  if (typeof localAddress !== 'string' || net.isIP(localAddress) === 0) return undefined
  return Number(localPort ?? 0) === 0 ? { localAddress, host, port } : undefined
}
