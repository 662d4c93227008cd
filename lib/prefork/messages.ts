/** The messages between the primary and the workers of prefork(), which share a channel with the application's. */
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { SocketTunerError, isObject } from '../errors'
import type { ConnectionLimits } from '../server/connection-limits'

const MARK = 'socket-tuner:prefork'

/** The environment variable that holds the {@link Assignment} of a worker. */
export const ASSIGNMENT = 'SOCKET_TUNER_PREFORK'

/**
 * How a connection is assigned to a worker. `hash`: the kernel decides by the addresses and ports of both ends.
 * `cpu`: the kernel decides by the CPU that handles the first packet. `cluster`: all workers share one socket, and
 * node:cluster decides by its `schedulingPolicy`.
 */
export type Steering = 'hash' | 'cpu' | 'cluster'

/** The role of a worker, set at its start. */
export interface Assignment {
  readonly slot: number
  /** The descriptor of its listening socket; undefined if all workers share one. */
  readonly fd: number | undefined
  readonly address: { port: number; host: string | undefined; ipv6Only: boolean }
  readonly backlog: number
  readonly steering: Steering
  readonly signals: boolean
  /** Of the connections of its server. */
  readonly limits: ConnectionLimits
  /** The part of the time for its end over which its connections end, ms. */
  readonly overMs: number
}

/** An error that is sent from one process to another. */
export interface Failure {
  readonly message: string
  readonly stack?: string | undefined
  readonly code?: string | undefined
  readonly errno?: number | undefined
  readonly syscall?: string | undefined
  readonly address?: string | undefined
  readonly port?: number | undefined
}

export type FromPrimary =
  { readonly type: 'end'; readonly timeoutMs: number } | { readonly type: 'report-count' }

export type ToPrimary =
  | { readonly type: 'listening'; readonly address: AddressInfo }
  /** `serve` threw or rejected. */
  | { readonly type: 'failed'; readonly failure: Failure }
  /** The cleanup function that `serve` returned threw or rejected. */
  | { readonly type: 'unclean'; readonly failure: Failure }
  | { readonly type: 'count'; readonly connections: number }
  /** The worker itself received SIGTERM. */
  | { readonly type: 'leaving' }

type Marked<M> = M & { readonly mark: typeof MARK }

export function marked<M extends object>(message: M): Marked<M> {
  return { ...message, mark: MARK }
}

/** Returns the message if it is one of these; undefined for one of the application. */
export function unmarked(message: unknown): object | undefined {
  return isObject(message) && message.mark === MARK ? message : undefined
}

/** Reduces an error to the fields that can be sent. */
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

/** Restores the error of the other process. */
export function errorOf({ message, stack, code, ...rest }: Failure): Error {
  const error =
    code === undefined ? new Error(message) : new SocketTunerError(message, { ...rest, code })
  // The stack of the other process is more useful than that of this function.
  if (stack !== undefined) error.stack = stack
  return error
}

function ifString(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function ifNumber(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}
