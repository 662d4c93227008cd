/** Every client socket of the process. */
import type * as net from 'node:net'
import { attachPolicy, detachPolicy, observeClose, policyOf } from '../close/hooks'
import type { ClosePolicy } from '../close/mode'
import type { Observer } from '../close/modes'
import { CloseTally } from '../close/tally'
import { endpoint, type IpFamily } from '../connect/address'
import { prepareHandle, type Attempt } from '../connect/attempt'
import { followConnects } from '../node/every-socket'
import { transportFd, transportHandleOf, type Handle } from '../node/handle'
import { isPrepared, isTcp } from '../node/tcp-handle'
import { applySettings } from '../options/tune'
import { closesText } from './closes'
import type { ClientsConfiguration } from './config'
import { causeOf, reportText, settingsText, type Log } from './log'
import { plansOf, type FamilyPlan, type FamilyPlans } from './plans'

/** What is known of one socket. */
interface Known {
  /** Undefined where there is no close mode. */
  readonly policy: ClosePolicy | undefined
  /** Called for each close of the socket, under a mode or not. */
  readonly closed: Observer
  attempt: Attempt | undefined
  /** The socket turned out not to be one that is meant. */
  leftAlone: boolean
}

type OnAttempt = (this: net.Socket, address: string, port: number, family: IpFamily) => void

export class Clients {
  readonly #configuration: ClientsConfiguration
  readonly #plans: FamilyPlans
  readonly #log: Log
  readonly #known = new WeakMap<net.Socket, Known>()
  readonly #onAttempt: OnAttempt
  readonly #counts = { tuned: 0, leftAlone: 0, notTuned: 0 }
  readonly #closes = new CloseTally()

  constructor(configuration: ClientsConfiguration, log: Log) {
    this.#configuration = configuration
    this.#log = log
    this.#plans = plansOf(configuration, log)
    const attempt = this.#attempt.bind(this)
    this.#onAttempt = function onAttempt(address, port, family) {
      attempt(this, address, port, family)
    }
  }

  /** Tunes every socket that is connected from now on. */
  install(): void {
    followConnects(
      (socket) => this.#before(socket),
      (socket, known: Known) => {
        this.#after(socket, known)
      },
    )
  }

  /** TLS was laid over a connection: it is what the program closes from now on. */
  laidOver(socket: net.Socket): void {
    const policy = policyOf(socket)
    if (policy === undefined || policy.socket === socket) return
    if (this.#known.get(policy.socket)?.policy === policy) attachPolicy({ ...policy, socket })
  }

  get summary(): string {
    const { tuned, leftAlone, notTuned } = this.#counts
    const sockets = `${String(tuned)} attempts tuned, ${String(leftAlone)} left alone, ${String(notTuned)} not tuned`
    const { policy } = this.#configuration
    return `clients: ${sockets}${policy === undefined ? '' : `; ${closesText(this.#closes.totals)}`}`
  }

  /** Undefined for a socket that was made from a descriptor: it is its maker's. */
  #before(socket: net.Socket): Known | undefined {
    if (transportFd(socket) >= 0) return undefined
    // It may be connected for the second time.
    socket.off('connectionAttempt', this.#onAttempt)
    socket.on('connectionAttempt', this.#onAttempt)
    let known = this.#known.get(socket)
    if (known === undefined) {
      known = this.#newcomer(socket)
      this.#known.set(socket, known)
    }
    known.leftAlone = false
    return known
  }

  /** Node has made a handle by now, and most often connects in a later tick. */
  #after(socket: net.Socket, { policy, closed, leftAlone }: Known): void {
    const { sources } = this.#configuration
    if (leftAlone || socket.destroyed || !isTcp(transportHandleOf(socket))) return
    // A pool counts each close that leaves TIME_WAIT here.
    if (policy !== undefined || sources.length > 1) observeClose(socket, closed)
    // What the program has set by itself stays.
    if (policy !== undefined && policyOf(socket) === undefined) attachPolicy(policy)
  }

  #newcomer(socket: net.Socket): Known {
    const { policy } = this.#configuration
    const known: Known = {
      policy: policy === undefined ? undefined : { ...policy, socket, armed: false },
      closed: (outcome) => {
        this.#closes.add(outcome)
        this.#log.counted()
        const keeps = outcome.timeWait === 'here' || outcome.timeWait === 'unknown'
        known.attempt?.lease?.release(keeps)
      },
      attempt: undefined,
      leftAlone: false,
    }
    return known
  }

  /** Right before connect(2), for each address that is tried. Never throws: Node would not connect. */
  #attempt(socket: net.Socket, address: string, port: number, family: IpFamily): void {
    const to = endpoint(address, port)
    try {
      const handle = transportHandleOf(socket)
      const known = this.#known.get(socket)
      if (handle === undefined || known === undefined) return
      if (isPrepared(handle)) this.#leave(socket, known, `${to}: the program tunes it by itself`)
      else if (!this.#configuration.match.has(address, port, family))
        this.#leave(socket, known, `${to}: not in clients.match`)
      else this.#begin(socket, handle, known, to, this.#plans[family])
    } catch (error) {
      this.#failed(to, error)
    }
  }

  #leave(socket: net.Socket, known: Known, why: string): void {
    if (!known.leftAlone) this.#count('leftAlone')
    known.leftAlone = true
    if (known.policy !== undefined && policyOf(socket) === known.policy) detachPolicy(socket)
    this.#log.line(`client ${why}`)
  }

  #begin(socket: net.Socket, handle: Handle, known: Known, to: string, plan: FamilyPlan): void {
    // An address before this one was not meant.
    if (known.leftAlone && known.policy !== undefined && policyOf(socket) === undefined)
      attachPolicy(known.policy)
    known.leftAlone = false
    known.attempt?.lease?.release(false)
    known.attempt = undefined
    if (plan.isEmpty) {
      this.#done(to, settingsText({}))
    } else if ((handle.fd ?? -1) >= 0) {
      // Node has bound it, as the program asked: it is too late for another source.
      const report = applySettings(socket, plan.tuning.settings)
      this.#done(to, `${reportText(report)}; bound by the program`)
    } else {
      known.attempt = prepareHandle(handle, plan, (failure) => {
        if (failure === undefined) this.#done(to, settingsText(plan.wanted))
        else this.#failed(to, failure)
      })
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
    this.#log.trouble(causeOf(error), `client ${to} is left as Node makes it: ${message}`)
  }
}
