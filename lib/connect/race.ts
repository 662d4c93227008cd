/**
 * Several addresses of one host (RFC 8305 section 5): they are tried in turn, the next one as soon as
 * one has failed, or when it has not answered for a while; what answers first is taken and the others
 * are given up. Each attempt is a socket of its own with all settings in force.
 */
import * as net from 'node:net'
import { getSystemErrorName } from 'node:util'
import { native } from '../binding'
import { SocketOptionError } from '../errors'
import { transportHandleOf } from '../target'
import { intercept, type Attempt, type Plan } from './attempt'
import type { Address } from './resolve'
import type { Lease } from './source-ledger'

/** The attempt that was first. */
export interface Winner extends Address {
  /** A connected descriptor, the caller's now. */
  readonly fd: number
  readonly lease: Lease | undefined
}

export interface RaceOptions {
  readonly port: number
  readonly plan: Plan
  /** How long an attempt is given before the next one begins beside it, ms. */
  readonly delayMs: number
}

interface Runner extends Address {
  readonly socket: net.Socket
  readonly attempt: Attempt
}

/** Runs the race for a net.Socket, which tells of it by Node's own events, and fails with it. */
export function race(
  socket: net.Socket,
  addresses: readonly Address[],
  options: RaceOptions,
  won: (winner: Winner) => void,
): void {
  new Race(socket, addresses, options, won).begin()
}

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
    const copy = native.duplicateFd(transportHandleOf(runner.socket)?.fd ?? -1)
    if (copy < 0) {
      this.#fail(runner, duplicateFailure(copy))
      return
    }
    const { address, family, attempt } = runner
    this.#running.delete(runner)
    // The connection lives on by its second descriptor: this closes only the first.
    runner.socket.destroy()
    for (const loser of this.#running) this.#tell('connectionAttemptTimeout', loser)
    this.#stop()
    this.#tellAttempted()
    this.#won({ address, family, fd: copy, lease: attempt.lease })
  }

  #fail(runner: Runner, error: Error): void {
    if (this.#over || !this.#running.delete(runner)) return
    runner.attempt.lease?.release(false)
    runner.socket.destroy()
    this.#errors.push(error)
    this.#tell('connectionAttemptFailed', runner, error)
    if (this.#waiting.length > 0) this.#next()
    else if (this.#running.size === 0) this.#lose()
  }

  #lose(): void {
    const [first] = this.#errors
    const error = new AggregateError(this.#errors, first?.message)
    Object.assign(error, { code: (first as NodeJS.ErrnoException | undefined)?.code })
    this.#tellAttempted()
    this.#stop()
    this.#socket.destroy(error)
  }

  /** As Node's own selection of the family does. */
  #tellAttempted(): void {
    Object.assign(this.#socket, { autoSelectFamilyAttemptedAddresses: this.#attempted })
  }

  /** Of the attempt that is taken Node tells itself, when it is: so of the others too at their end. */
  #tell(event: string, { address, family }: Runner, ...rest: readonly unknown[]): void {
    const { port } = this.#options
    this.#socket.emit('connectionAttempt', address, port, family)
    this.#socket.emit(event, address, port, family, ...rest)
  }
}

function duplicateFailure(errno: number): SocketOptionError {
  const code = getSystemErrorName(errno)
  return new SocketOptionError(`fcntl F_DUPFD_CLOEXEC: ${code}`, { code, errno, syscall: 'fcntl' })
}
