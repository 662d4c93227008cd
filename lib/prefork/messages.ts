/** What primary and workers of prefork() say to each other, beside the messages of the application. */
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { SocketTunerError, isObject } from '../errors'

const MARK = 'socket-tuner:prefork'

/** The environment variable by which a worker learns what it is. */
export const ASSIGNMENT = 'SOCKET_TUNER_PREFORK'

/**
 * Which worker gets a connection. `hash`: the kernel decides by the addresses and ports of both ends.
 * `cpu`: by the CPU that handles its first packet. `cluster`: all workers share one socket, and
 * node:cluster decides by its `schedulingPolicy`.
 */
export type Steering = 'hash' | 'cpu' | 'cluster'

/** What a worker is told when it starts. */
export interface Assignment {
  readonly slot: number
  /** Its listening socket; undefined where all workers share one. */
  readonly fd: number | undefined
  readonly address: { port: number; host: string | undefined; ipv6Only: boolean }
  readonly backlog: number
  readonly steering: Steering
  readonly signals: boolean
}

/** An error on its way from one process to another. */
export interface Failure {
  readonly message: string
  readonly stack?: string | undefined
  readonly code?: string | undefined
  readonly errno?: number | undefined
  readonly syscall?: string | undefined
  readonly address?: string | undefined
  readonly port?: number | undefined
}

export type ToWorker =
  { readonly ask: 'end'; readonly timeoutMs: number } | { readonly ask: 'count' }

export type ToPrimary =
  | { readonly tell: 'listening'; readonly address: AddressInfo }
  /** `serve` threw. */
  | { readonly tell: 'failed'; readonly failure: Failure }
  /** The function that `serve` returned threw. */
  | { readonly tell: 'unclean'; readonly failure: Failure }
  | { readonly tell: 'count'; readonly connections: number }
  /** It was sent SIGTERM itself. */
  | { readonly tell: 'leaving' }

export type Marked<M> = M & { readonly mark: typeof MARK }

export function marked<M extends object>(message: M): Marked<M> {
  return { ...message, mark: MARK }
}

/** The message when it is one of these and not the application's own. */
export function unmarked(message: unknown): object | undefined {
  return isObject(message) && message.mark === MARK ? message : undefined
}

/** Of what an error may have only what can be sent. */
export function failureOf(error: unknown): Failure {
  if (!(error instanceof Error)) {
    return { message: typeof error === 'string' ? error : inspect(error) }
  }
  const { message, stack, code, errno, syscall, address, port } = error as unknown as Record<
    string,
    unknown
  >
  return {
    message: typeof message === 'string' ? message : inspect(message),
    stack: ifString(stack),
    code: ifString(code),
    errno: ifNumber(errno),
    syscall: ifString(syscall),
    address: ifString(address),
    port: ifNumber(port),
  }
}

/** The error that it was in the other process. */
export function errorOf({ message, stack, code, ...rest }: Failure): Error {
  const error =
    code === undefined ? new Error(message) : new SocketTunerError(message, { ...rest, code })
  // Where it came from there says more than this place.
  if (stack !== undefined) error.stack = stack
  return error
}

function ifString(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function ifNumber(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}
