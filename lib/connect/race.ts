/**
 * Several addresses of one host (RFC 8305 section 5): they are tried in turn, the next one as soon as
 * one has failed, or when it has not answered for a while; what answers first is taken and the others
 * are given up. Each attempt is a socket of its own with all settings in force.
 */
import * as net from 'node:net'
import { native } from '../kernel/binding'
import { setAttemptedAddresses, withoutEvents } from '../node/connecting'
import { transportFd } from '../node/handle'
import { intercept, type Attempt, type Plan } from './attempt'
import { noSocket } from './connect-failure'
import type { Address } from './resolve'
import type { Lease } from './source-ledger'

/** The attempt that was first. */
export interface Winner extends Address {
  /** A connected descriptor, the caller's now. */
  readonly fd: number
  readonly lease: Lease | undefined
}

export interface RaceOptions {
  /** The name that was looked up. */
  readonly host: string
  readonly port: number
  readonly plan: Plan
  /** How long an attempt is given before the next one begins beside it, ms. */
  readonly delayMs: number
}

interface Runner extends Address {
  readonly socket: net.Socket
  readonly attempt: Attempt
}

/**
 * Runs the race for a net.Socket, which reports it by Node's own events, and fails with it. When `won`
 * is called, Node is expected to connect the socket to the winner.
 */
export function race(
  socket: net.Socket,
  addresses: readonly Address[],
  options: RaceOptions,
  won: (winner: Winner) => void,
): void {
  new Race(socket, addresses, options, won).begin()
}

/** Node reports what it connects to when the race is over, where it has been reported already. */
const REPORTED = new Set(['lookup', 'connectionAttempt'])

class Race {
  readonly #socket: net.Socket
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
    this.#waiting = [...addresses]
    this.#options = options
    this.#won = won
  }

  begin(): void {
    this.#socket.once('close', this.#stop)
    for (const { address, family } of this.#waiting) {
      this.#socket.emit('lookup', null, address, family, this.#options.host)
      // A listener may have destroyed the socket.
      if (this.#over || this.#socket.destroyed) return
    }
    this.#next()
  }

  readonly #stop = (): void => {
    this.#over = true
    clearTimeout(this.#timer)
    this.#socket.off('close', this.#stop)
    for (const { socket, attempt } of this.#running) {
      attempt.lease?.release(false)
      socket.destroy()
    }
    this.#running.clear()
  }

  readonly #next = (): void => {
    clearTimeout(this.#timer)
    const address = this.#waiting.shift()
    if (this.#over || address === undefined) return
    this.#timer = setTimeout(this.#next, this.#options.delayMs)
    this.#run(address)
  }

  #run({ address, family }: Address): void {
    const { port, plan } = this.#options
    this.#socket.emit('connectionAttempt', address, port, family)
    if (this.#over || this.#socket.destroyed) return
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
    if (this.#over) return
    const copy = native.duplicateFd(transportFd(runner.socket))
    if (copy < 0) {
      const { address } = runner
      this.#fail(runner, noSocket(copy, { address, port: this.#options.port }))
      return
    }
    const { address, family, attempt } = runner
    this.#running.delete(runner)
    // The connection lives on by its second descriptor: this closes only the first.
    runner.socket.destroy()
    for (const loser of this.#running) this.#report('connectionAttemptTimeout', loser)
    this.#stop()
    this.#reportAttempted()
    // A listener may have destroyed the socket.
    if (this.#socket.destroyed) {
      native.closeFd(copy)
      attempt.lease?.release(false)
      return
    }
    withoutEvents(this.#socket, REPORTED, () => {
      this.#won({ address, family, fd: copy, lease: attempt.lease })
    })
  }

  #fail(runner: Runner, error: Error): void {
    if (this.#over || !this.#running.delete(runner)) return
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

  /** As Node's own selection of the family does. */
  #reportAttempted(): void {
    setAttemptedAddresses(this.#socket, this.#attempted)
  }

  #report(event: string, { address, family }: Runner, ...rest: readonly unknown[]): void {
    this.#socket.emit(event, address, this.#options.port, family, ...rest)
  }
}
