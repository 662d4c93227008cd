import type { constants } from 'node:os'
import { inspect } from 'node:util'

/**
 * Every error code of this library beside Node's own (`ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`,
 * `ERR_INVALID_ARG_VALUE`) and the errno names of failed system calls, with the way out of each.
 * docs/warnings.md is generated from this table.
 */
export const errorCodes = {
  ERR_SOCKET_TUNER_UNKNOWN_OPTION: {
    meaning:
      'There is no option of that name: no socket option of the catalogue, or none of the function that was called.',
    wayOut:
      'The message names the nearest right one; `optionNames` and docs/options.md have the socket options.',
  },
  ERR_SOCKET_TUNER_NOT_READABLE: {
    meaning: 'The kernel does not let the option be read, or its value is a secret.',
    wayOut: 'Keep the value that you set; `describeOption(name).access` tells beforehand.',
  },
  ERR_SOCKET_TUNER_NOT_WRITABLE: {
    meaning: 'The kernel does not let the option be set.',
    wayOut: 'Read it with `getOption()`; `describeOption(name).access` tells beforehand.',
  },
  ERR_SOCKET_TUNER_NOT_EXPOSED: {
    meaning: 'The option is known and deliberately not offered.',
    wayOut: '`describeOption(name).because` says why, and what to use in its place.',
  },
  ERR_SOCKET_TUNER_UNSUPPORTED: {
    meaning:
      'This platform, this kernel or the installed release of a client package does not have what was asked for.',
    wayOut:
      '`describeOption(name)` tells the platforms and the first kernel; `tune()` reports such an option as unsupported and goes on. For a client package the message tells the releases that are supported.',
  },
  ERR_SOCKET_TUNER_WRONG_SOCKET: {
    meaning:
      'The option belongs to another address family or protocol than the socket, or does nothing on a unix-domain socket; or `listen({ fd })` was given what is no stream socket, or a connected one.',
    wayOut: 'Use the option of the same purpose for this socket, as IP_TTL for IPV6_UNICAST_HOPS.',
  },
  ERR_SOCKET_TUNER_DESTROYED: {
    meaning:
      'The socket, server or session was closed: its descriptor may belong to another one by now.',
    wayOut: "Act before 'close', or check `socket.destroyed`.",
  },
  ERR_SOCKET_TUNER_NO_HANDLE: {
    meaning: 'The object has no socket yet: it is neither connecting nor listening.',
    wayOut: "Wait for 'connect' or 'listening', or set the option before with `RawSocket`.",
  },
  ERR_SOCKET_TUNER_NO_DESCRIPTOR: {
    meaning:
      'The socket is being opened and has no descriptor in this tick, or is not backed by one.',
    wayOut: "Wait for 'connect'.",
  },
  ERR_SOCKET_TUNER_SHARED_HANDLE: {
    meaning: 'The listening socket of a cluster worker is held by the primary process.',
    wayOut:
      'Tune the accepted sockets, use `cluster.SCHED_NONE`, or give each worker a listener of its own with SO_REUSEPORT.',
  },
  ERR_SOCKET_TUNER_BLOCKING_LINGER: {
    meaning:
      'SO_LINGER with seconds above 0 makes close() wait on the event loop for up to that time, also on a non-blocking socket.',
    wayOut:
      "Use `closeSocket(socket, 'deliver')`; or add `blocking: true` to the value if the process may stop.",
  },
  ERR_SOCKET_TUNER_HAZARD: {
    meaning:
      "A warning turned into an error by `configure({ hazards: 'throw' })`; nothing was changed.",
    wayOut: '`error.warning` is the code of the warning: see its way out.',
  },
  ERR_SOCKET_TUNER_HANDED_OVER: {
    meaning:
      'The RawSocket gave its descriptor to a net.Socket or a server, which closes it: it has none any more.',
    wayOut: 'Use the net.Socket or the server; both are targets of every function here.',
  },
  ERR_SOCKET_TUNER_ADDRESS_FAMILY: {
    meaning: 'An IPv4 address was given where an IPv6 one is needed, or the other way round.',
    wayOut:
      'Take source and destination of one family; with a host name, the family of the source is looked up.',
  },
  ERR_SOCKET_TUNER_PREFORK_CRASHES: {
    meaning:
      'Workers of `prefork()` ended as soon as they were started, too often in a row, or did not listen in time.',
    wayOut: '`error.cause` is what the worker said; its own standard error has the rest.',
  },
  ERR_SOCKET_TUNER_PREFORK_PLACE: {
    meaning:
      '`prefork()` was called where it cannot work: twice in a process, in a thread, or in a cluster worker that it did not start.',
    wayOut: 'Call it once, in the main thread of the file that the workers run too.',
  },
  ERR_SOCKET_TUNER_PREFORK_CLEANUP: {
    meaning:
      'The function that `serve` of `prefork()` returned threw, or rejected, when its worker ended. The worker had served all its connections.',
    wayOut:
      '`error.cause` is what it threw, with the stack of the worker; the worker has printed it too.',
  },
  ERR_SOCKET_TUNER_PREFORK_CLOSED: {
    meaning: 'The group of `prefork()` is closing or closed.',
    wayOut: 'Await `group.close()`, and call `prefork()` again.',
  },
  ERR_SOCKET_TUNER_NO_ADDON: {
    meaning:
      'The native addon could not be loaded: there is none for this platform, the program was bundled, or Node was started without the right to load one.',
    wayOut:
      'The message says which of these it is and what to do: mark socket-tuner as external in the bundler, start Node with `--allow-addons`, or build the addon.',
  },
} as const

export type SocketTunerErrorCode = keyof typeof errorCodes

/** The name of an errno, as `EPERM`. */
export type ErrnoCode = keyof typeof constants.errno

/** What a {@link SocketTunerError} has as its `code`. */
export type ErrorCode =
  SocketTunerErrorCode | ErrnoCode | 'ERR_SERVER_ALREADY_LISTEN' | 'ERR_HTTP_HEADERS_SENT'

/** What a {@link SocketTunerError} knows beside its message. */
export interface SocketTunerErrorFields {
  /** `ERR_SOCKET_TUNER_…`, or the errno name (`EPERM`) of a failed system call. */
  code: string
  /** The errno, negative as Node gives it. */
  errno?: number | undefined
  /** The system call that failed. */
  syscall?: string | undefined
  /** The name of the socket option, or of an option of the function that was called. */
  option?: string | undefined
  /** The descriptor. */
  fd?: number | undefined
  /** The destination of a connect, or the local address of a bind. */
  address?: string | undefined
  port?: number | undefined
  /** The source that a connect was to have. */
  localAddress?: string | undefined
  localPort?: number | undefined
  /**
   * Which ports ran out: those of one (source, destination, destination port), or those that bind()
   * reserves for all destinations.
   */
  space?: 'tuple' | 'bind' | undefined
  /** Sockets in TIME_WAIT in this network namespace when the ports had run out. */
  timeWait?: number | undefined
  /** The code of the warning that `configure({ hazards: 'throw' })` made an error of. */
  warning?: string | undefined
  cause?: unknown
}

/** What a {@link SocketOptionError} knows beside that. */
export interface SocketOptionErrorFields extends SocketTunerErrorFields {
  /** The option's protocol level. */
  level?: string | undefined
  /** The value that was to be set; never there for a secret. */
  value?: unknown
  /** After a failed tune(): options that had been set and could not be put back. */
  notRestored?: readonly string[] | undefined
}

/**
 * Marks the errors of every copy of this library in a process, so that `instanceof` holds for those of a copy
 * that another package brought along.
 */
const OF_LIBRARY = Symbol.for('socket-tuner.SocketTunerError')
const OF_OPTION = Symbol.for('socket-tuner.SocketOptionError')

function isMarked(error: unknown, mark: symbol): boolean {
  return typeof error === 'object' && error !== null && mark in error
}

/**
 * A call of this library that failed: `code` is stable, the message is for people. `instanceof` holds for the
 * errors of another copy of this library too.
 */
export class SocketTunerError extends Error {
  readonly code: ErrorCode
  declare readonly errno?: number
  declare readonly syscall?: string
  declare readonly option?: string
  declare readonly fd?: number
  declare readonly address?: string
  declare readonly port?: number
  declare readonly localAddress?: string
  declare readonly localPort?: number
  declare readonly space?: 'tuple' | 'bind'
  declare readonly timeWait?: number
  declare readonly warning?: string

  static {
    mark(this.prototype, 'SocketTunerError', OF_LIBRARY)
  }

  static override [Symbol.hasInstance](error: unknown): boolean {
    return this === SocketTunerError ? isMarked(error, OF_LIBRARY) : isOrdinaryInstance(this, error)
  }

  constructor(message: string, fields: SocketTunerErrorFields) {
    const { code, cause, ...rest } = fields
    super(message, cause === undefined ? undefined : { cause })
    this.code = code as ErrorCode
    for (const [key, value] of Object.entries(rest)) {
      if (value !== undefined)
        Object.defineProperty(this, key, {
          value,
          enumerable: true,
          configurable: true,
          writable: true,
        })
    }
  }
}

/** A socket option that was refused: by this library, which changes nothing then, or by the kernel. */
export class SocketOptionError extends SocketTunerError {
  declare readonly level?: string
  declare readonly value?: unknown
  declare readonly notRestored?: readonly string[]

  static {
    mark(this.prototype, 'SocketOptionError', OF_OPTION)
  }

  static override [Symbol.hasInstance](error: unknown): boolean {
    return this === SocketOptionError ? isMarked(error, OF_OPTION) : isOrdinaryInstance(this, error)
  }

  // eslint-disable-next-line @typescript-eslint/no-useless-constructor -- it takes more fields
  constructor(message: string, fields: SocketOptionErrorFields) {
    super(message, fields)
  }
}

/** On the prototype, as Error's own name: it stands in the stack and is no own property. */
function mark(prototype: object, name: string, symbol: symbol): void {
  Object.defineProperty(prototype, 'name', { value: name, configurable: true, writable: true })
  Object.defineProperty(prototype, symbol, { value: true })
}

/** For classes that others derive from these. */
function isOrdinaryInstance(constructor: unknown, error: unknown): boolean {
  return Function.prototype[Symbol.hasInstance].call(constructor, error)
}

/** As Node's own ERR_INVALID_ARG_TYPE. */
export class ArgumentTypeError extends TypeError {
  readonly code = 'ERR_INVALID_ARG_TYPE'

  /** @param shown what the message says was received; for a secret no more than its type */
  constructor(argument: string, expected: string, actual: unknown, shown = received(actual)) {
    super(`The "${argument}" ${kindOf(argument)} must be ${expected}. Received ${shown}`)
  }
}

/** As Node's own ERR_INVALID_ARG_VALUE. */
export class ArgumentValueError extends TypeError {
  readonly code = 'ERR_INVALID_ARG_VALUE'

  constructor(argument: string, reason: string, actual: unknown, shown = inspect(actual)) {
    const text = shown.length > 128 ? `${shown.slice(0, 128)}...` : shown
    super(`The ${kindOf(argument)} '${argument}' ${reason}. Received ${text}`)
  }
}

/** As Node's own ERR_OUT_OF_RANGE. */
export class ArgumentRangeError extends RangeError {
  readonly code = 'ERR_OUT_OF_RANGE'

  constructor(argument: string, range: string, actual: unknown) {
    super(
      `The value of "${argument}" is out of range. It must be ${range}. Received ${legible(actual)}`,
    )
  }
}

function kindOf(argument: string): 'argument' | 'property' {
  return argument.includes('.') ? 'property' : 'argument'
}

/** Whole numbers beyond 32 bits with underscores, as Node writes them. */
function legible(value: unknown): string {
  if (typeof value !== 'number' || !Number.isInteger(value) || Math.abs(value) <= 2 ** 32) {
    return inspect(value)
  }
  return String(value).replace(/\B(?=(\d{3})+$)/g, '_')
}

/** What a value is, in the words that Node's own argument errors use. */
function received(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value === 'function') return `function ${value.name}`
  if (typeof value === 'object') {
    const name = constructorName(value)
    return name === undefined ? inspect(value, { depth: -1 }) : `an instance of ${name}`
  }
  if (typeof value === 'string' && value.length > 28) {
    return `type string (${inspect(`${value.slice(0, 25)}...`)})`
  }
  const text = inspect(value, { colors: false })
  return `type ${typeof value} (${text.length > 28 ? `${text.slice(0, 25)}...` : text})`
}

function constructorName(value: object): string | undefined {
  const { constructor } = value as { constructor?: unknown }
  return typeof constructor === 'function' && constructor.name !== '' ? constructor.name : undefined
}

/** Throws unless `value` is a whole number from `min` to `max`. */
export function checkWhole(
  argument: string,
  value: unknown,
  min: number,
  max: number,
): asserts value is number {
  if (typeof value !== 'number') throw new ArgumentTypeError(argument, 'of type number', value)
  if (!Number.isInteger(value)) throw new ArgumentRangeError(argument, 'an integer', value)
  if (value < min || value > max) {
    throw new ArgumentRangeError(argument, `>= ${String(min)} && <= ${String(max)}`, value)
  }
}

/** Throws unless `value` is true or false. */
export function checkBoolean(argument: string, value: unknown): asserts value is boolean {
  if (typeof value !== 'boolean') throw new ArgumentTypeError(argument, 'of type boolean', value)
}

/** Throws unless `value` is an object that is neither null nor an array. */
export function checkObject(
  argument: string,
  value: unknown,
): asserts value is Record<string, unknown> {
  if (!isObject(value)) throw new ArgumentTypeError(argument, 'of type object', value)
}

/** The same for an object whose type is known as far as callers keep to it. */
export function checkOptions(argument: string, value: object): void {
  checkObject(argument, value)
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
