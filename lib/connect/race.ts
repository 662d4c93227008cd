/**
 * Happy Eyeballs (RFC 8305 section 5): tries the addresses of one host in order. The next attempt starts once
 * one has failed, or after a delay. The first connection wins, and the other attempts are cancelled. Each
 * attempt has its own socket, with all settings in force.
 */
import * as net from 'node:net'
import { native } from '../kernel/binding'
import { setAttemptedAddresses, withoutEvents } from '../node/connecting'
import { handleOf, transportFd } from '../node/handle'
import { intercept, type Attempt, type Plan } from './attempt'
import { noSocket } from './connect-failure'
import type { Address } from './resolve'
import type { Lease } from './source-ledger'

/** The attempt that connected first. */
interface Winner extends Address {
  /** The connected descriptor, which the caller owns. */
  readonly fd: number
  readonly lease: Lease | undefined
}

interface RaceOptions {
  /** The name that was looked up. */
  readonly host: string
  readonly port: number
  readonly plan: Plan
  /** The delay before the next attempt starts beside one that is still in progress, ms. */
  readonly delayMs: number
}

interface Runner extends Address {
  readonly socket: net.Socket
  readonly attempt: Attempt
}

/**
 * Runs the race for a net.Socket, which emits Node's own events for it, and is destroyed if every attempt fails.
 * `won` must make Node connect the socket to the winner.
 */
export function race(
  socket: net.Socket,
  addresses: readonly Address[],
  options: RaceOptions,
  won: (winner: Winner) => void,
): void {
  new Race(socket, addresses, options, won).begin()
}

/** Events that the race has emitted, and that Node would repeat when it connects to the winner. */
const REPORTED = new Set(['lookup', 'connectionAttempt'])

class Race {
  readonly #socket: net.Socket
  /** The handle of this connect(): the socket may be destroyed and connected again. */
  readonly #handle: object | undefined
  readonly #waiting: Address[]
  readonly #options: RaceOptions
  readonly #won: (winner: Winner) => void
  readonly #running = new Set<Runner>()
  readonly #errors: Error[] = []
  readonly #attempted: string[] = []
  #timer: NodeJS.Timeout | undefined
  #over = false

  constructor(
    socket: net.Socket,
    addresses: readonly Address[],
    options: RaceOptions,
    won: (winner: Winner) => void,
  ) {
    this.#socket = socket
    this.#handle = handleOf(socket)
    this.#waiting = [...addresses]
    this.#options = options
    this.#won = won
  }

  begin(): void {
    this.#socket.on('close', this.#closed)
    for (const { address, family } of this.#waiting) {
      this.#socket.emit('lookup', null, address, family, this.#options.host)
      // A listener may have destroyed the socket.
      if (this.#isOver()) return
    }
    this.#next()
  }

  readonly #closed = (): void => {
    this.#isOver()
  }

  /** Whether the race is over. Ends it if the socket was destroyed or connected again. */
  #isOver(): boolean {
    if (!this.#over && handleOf(this.#socket) !== this.#handle) this.#stop()
    return this.#over
  }

  readonly #stop = (): void => {
    this.#over = true
    clearTimeout(this.#timer)
    this.#socket.off('close', this.#closed)
    for (const { socket, attempt } of this.#running) {
      attempt.lease?.release(false)
      socket.destroy()
    }
    this.#running.clear()
  }

  readonly #next = (): void => {
    clearTimeout(this.#timer)
    const address = this.#waiting.shift()
    if (this.#isOver() || address === undefined) return
    this.#timer = setTimeout(this.#next, this.#options.delayMs)
    this.#run(address)
  }

  #run({ address, family }: Address): void {
    const { port, plan } = this.#options
    this.#socket.emit('connectionAttempt', address, port, family)
    if (this.#isOver()) return
    this.#attempted.push(`${address}:${String(port)}`)
    const socket = net.connect({ host: address, port, autoSelectFamily: false })
    const runner: Runner = { address, family, socket, attempt: intercept(socket, plan) }
    this.#running.add(runner)
    socket.once('connect', () => {
      this.#finish(runner)
    })
    socket.on('error', (error) => {
      this.#fail(runner, error)
    })
  }

  #finish(runner: Runner): void {
    if (this.#isOver()) return
    const copy = native.duplicateFd(transportFd(runner.socket))
    if (copy < 0) {
      const { address } = runner
      this.#fail(runner, noSocket(copy, { address, port: this.#options.port }))
      return
    }
    const { address, family, attempt } = runner
    this.#running.delete(runner)
    // The copy keeps the connection open; this closes only the first descriptor.
    runner.socket.destroy()
    for (const loser of this.#running) this.#report('connectionAttemptTimeout', loser)
    this.#stop()
    this.#reportAttempted()
    // A listener may have destroyed the socket.
    if (handleOf(this.#socket) !== this.#handle) {
      native.closeFd(copy)
      attempt.lease?.release(false)
      return
    }
    withoutEvents(this.#socket, REPORTED, () => {
      this.#won({ address, family, fd: copy, lease: attempt.lease })
    })
  }

  #fail(runner: Runner, error: Error): void {
    if (this.#isOver() || !this.#running.delete(runner)) return
    runner.attempt.lease?.release(false)
    runner.socket.destroy()
    this.#errors.push(error)
    this.#report('connectionAttemptFailed', runner, error)
    if (this.#waiting.length > 0) this.#next()
    else if (this.#running.size === 0) this.#lose()
  }

  #lose(): void {
    const [first] = this.#errors
    const error = new AggregateError(this.#errors, first?.message)
    Object.assign(error, { code: (first as NodeJS.ErrnoException | undefined)?.code })
    this.#reportAttempted()
    this.#stop()
    this.#socket.destroy(error)
  }

  /** Sets `autoSelectFamilyAttemptedAddresses`, as Node's own selection does. */
  #reportAttempted(): void {
    setAttemptedAddresses(this.#socket, this.#attempted)
  }

  #report(event: string, { address, family }: Runner, ...rest: readonly unknown[]): void {
    this.#socket.emit(event, address, this.#options.port, family, ...rest)
  }
}
