import type { constants } from 'node:os'
import { inspect } from 'node:util'

/**
 * Every error code of this library, with its meaning and its fix. Node's own codes (`ERR_INVALID_ARG_TYPE`,
 * `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`) and the errno names of failed system calls are not listed here.
 * docs/warnings.md is generated from this table.
 */
export const errorCodes = {
  ERR_SOCKET_TUNER_UNKNOWN_OPTION: {
    meaning:
      'No option has this name: neither a socket option of the catalogue nor an option of the function that was called.',
    fix: 'The message suggests the nearest name. `optionNames` and docs/options.md list the socket options, docs/arguments.md the options of each function.',
  },
  ERR_SOCKET_TUNER_NOT_READABLE: {
    meaning: 'The kernel does not return this option, or its value is a secret.',
    fix: 'Keep the value that you set. `describeOption(name).access` is `w` for such an option.',
  },
  ERR_SOCKET_TUNER_NOT_WRITABLE: {
    meaning: 'This option is read-only.',
    fix: 'Read it with `getOption()`. `describeOption(name).access` is `r` for such an option.',
  },
  ERR_SOCKET_TUNER_NOT_EXPOSED: {
    meaning: 'The option is known but deliberately not offered.',
    fix: '`describeOption(name).because` has the reason and what to use instead.',
  },
  ERR_SOCKET_TUNER_UNSUPPORTED: {
    meaning:
      'This platform, this kernel or the installed release of a client package lacks the feature.',
    fix: '`describeOption(name)` has the platforms and the first kernel release; `tune()` reports such an option as `unsupported` and continues. For a client package, the message names the supported releases.',
  },
  ERR_SOCKET_TUNER_WRONG_SOCKET: {
    meaning:
      'The option belongs to another address family or protocol than the socket, or has no effect on a unix-domain socket. Or the descriptor of `listen({ fd })` is not a stream socket, or is connected.',
    fix: 'Use the corresponding option for this kind of socket, for example IP_TTL instead of IPV6_UNICAST_HOPS.',
  },
  ERR_SOCKET_TUNER_DESTROYED: {
    meaning:
      'The socket, server or session is closed, and its descriptor may already belong to another one.',
    fix: "Make the call before 'close', or check `socket.destroyed` first.",
  },
  ERR_SOCKET_TUNER_NO_HANDLE: {
    meaning: 'The object has no socket yet: it is neither connecting nor listening.',
    fix: "Wait for 'connect' or 'listening'. To set an option earlier, use `RawSocket`, `connect({ settings })` or `listen({ settings })`.",
  },
  ERR_SOCKET_TUNER_NO_DESCRIPTOR: {
    meaning:
      'The socket is being opened and has no descriptor in this tick, or it has none at all, for example a TLS socket over another stream.',
    fix: "Wait for 'connect'.",
  },
  ERR_SOCKET_TUNER_SHARED_HANDLE: {
    meaning:
      'The server runs in a cluster worker, and its listening socket belongs to the primary process.',
    fix: 'Tune the accepted sockets, use `cluster.SCHED_NONE`, or give each worker its own listening socket: `listen()` or `prefork()`.',
  },
  ERR_SOCKET_TUNER_BLOCKING_LINGER: {
    meaning:
      'SO_LINGER with seconds above 0 makes close() block the event loop for up to that time, even on a non-blocking socket.',
    fix: "Use `closeSocket(socket, 'deliver')`. Add `blocking: true` to the value if the process may block.",
  },
  ERR_SOCKET_TUNER_HAZARD: {
    meaning:
      "A warning that `configure({ hazards: 'throw' })` turned into an error. Nothing was changed.",
    fix: '`error.warning` is the code of the warning: see its fix above.',
  },
  ERR_SOCKET_TUNER_HANDED_OVER: {
    meaning:
      'The RawSocket has handed its descriptor over to a net.Socket or a server, which now owns it.',
    fix: 'Use the net.Socket or the server instead: every function of this library accepts them.',
  },
  ERR_SOCKET_TUNER_ADDRESS_FAMILY: {
    meaning: 'An IPv4 address was used where an IPv6 address is needed, or the reverse.',
    fix: 'Use a source and a destination of the same family. A host name is looked up in the family of the source.',
  },
  ERR_SOCKET_TUNER_PREFORK_CRASHES: {
    meaning:
      'Too many workers of `prefork()` in a row ended right after their start, or did not listen in time.',
    fix: '`error.cause` is the error of the worker. Its standard error has the details.',
  },
  ERR_SOCKET_TUNER_PREFORK_PLACE: {
    meaning:
      '`prefork()` was called a second time in one process, in a worker thread, or in a cluster worker that it did not start.',
    fix: 'Call it once, in the main thread, in the file that the workers run too.',
  },
  ERR_SOCKET_TUNER_PREFORK_CLEANUP: {
    meaning:
      'The cleanup function that `serve` returned to `prefork()` threw or rejected when its worker ended. The worker had served all its connections.',
    fix: '`error.cause` is its error, with the stack of the worker. The worker has printed it too.',
  },
  ERR_SOCKET_TUNER_PREFORK_CLOSED: {
    meaning: 'The group of `prefork()` is closing or closed.',
    fix: 'Await `group.close()`, then call `prefork()` again.',
  },
  ERR_SOCKET_TUNER_STRESS_TARGET: {
    meaning:
      'The target of `stress()` accepts no connection or does not answer in time, or its answer is not the expected one.',
    fix: 'The message names the target and what it did. Check its address and its protocol, or raise `timeoutMs`.',
  },
  ERR_SOCKET_TUNER_STRESS_WORKER: {
    meaning:
      'A worker of `stress({ workers })` could not be started, or ended before it was ready, or all of them ended during the run.',
    fix: 'The message has the reason. Use fewer workers if processes or memory ran out. If only some workers end during a run, its result has what the others measured.',
  },
  ERR_SOCKET_TUNER_NO_ADDON: {
    meaning:
      'The native addon could not be loaded: none exists for this platform, the program was bundled, or Node may not load addons.',
    fix: 'The message names the cause and the fix: mark socket-tuner as external in the bundler, start Node with `--allow-addons`, or build the addon.',
  },
} as const

export type SocketTunerErrorCode = keyof typeof errorCodes

/** The name of an errno, for example `EPERM`. */
export type ErrnoCode = keyof typeof constants.errno

/** The `code` of a {@link SocketTunerError}. */
export type ErrorCode =
  SocketTunerErrorCode | ErrnoCode | 'ERR_SERVER_ALREADY_LISTEN' | 'ERR_HTTP_HEADERS_SENT'

/** The fields of a {@link SocketTunerError}, besides its message. */
export interface SocketTunerErrorFields {
  /** `ERR_SOCKET_TUNER_…`, or the errno name (`EPERM`) of a failed system call. */
  code: string
  /** The errno, negative as in Node. */
  errno?: number | undefined
  /** The system call that failed. */
  syscall?: string | undefined
  /** The name of the socket option, or of an option of the function that was called. */
  option?: string | undefined
  fd?: number | undefined
  /** The destination of a connect(), or the local address of a bind(). */
  address?: string | undefined
  port?: number | undefined
  /** The source address of a connect(). */
  localAddress?: string | undefined
  localPort?: number | undefined
  /**
   * The ports that ran out: `tuple` for those of one source address, destination address and destination port;
   * `bind` for those that bind() reserves for all destinations.
   */
  space?: 'tuple' | 'bind' | undefined
  /** Sockets in TIME_WAIT in this network namespace at that moment. */
  timeWait?: number | undefined
  /** The code of the warning that `configure({ hazards: 'throw' })` turned into this error. */
  warning?: string | undefined
  cause?: unknown
}

/** The fields of a {@link SocketOptionError}. */
export interface SocketOptionErrorFields extends SocketTunerErrorFields {
  /** The protocol level of the option, for example `IPPROTO_TCP`. */
  level?: string | undefined
  /** The value that was refused. Absent for a secret. */
  value?: unknown
  /** After a failed tune(): the options that could not be restored. */
  notRestored?: readonly string[] | undefined
}

/**
 * Marks the errors of every copy of this library in a process, so that `instanceof` also recognizes those of a
 * copy that another package depends on.
 */
const OF_LIBRARY = Symbol.for('socket-tuner.SocketTunerError')
const OF_OPTION = Symbol.for('socket-tuner.SocketOptionError')

function isMarked(error: unknown, mark: symbol): boolean {
  return typeof error === 'object' && error !== null && mark in error
}

/**
 * The error of a failed call of this library. `code` is stable; the message is for people. `instanceof` also
 * recognizes the errors of another copy of this library.
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

/** The error for a socket option that this library refused before any change, or that the kernel refused. */
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

  // eslint-disable-next-line @typescript-eslint/no-useless-constructor -- its type accepts more fields
  constructor(message: string, fields: SocketOptionErrorFields) {
    super(message, fields)
  }
}

/** Sets the name on the prototype, like that of Error: it is part of the stack and not an own property. */
function mark(prototype: object, name: string, symbol: symbol): void {
  Object.defineProperty(prototype, 'name', { value: name, configurable: true, writable: true })
  Object.defineProperty(prototype, symbol, { value: true })
}

/** The ordinary check, for classes derived from these. */
function isOrdinaryInstance(constructor: unknown, error: unknown): boolean {
  return Function.prototype[Symbol.hasInstance].call(constructor, error)
}

/** Equals Node's own ERR_INVALID_ARG_TYPE. */
export class ArgumentTypeError extends TypeError {
  readonly code = 'ERR_INVALID_ARG_TYPE'

  /** @param shown the received value as the message has it; only the type for a secret */
  constructor(argument: string, expected: string, actual: unknown, shown = received(actual)) {
    super(`The "${argument}" ${kindOf(argument)} must be ${expected}. Received ${shown}`)
  }
}

/** Equals Node's own ERR_INVALID_ARG_VALUE. */
export class ArgumentValueError extends TypeError {
  readonly code = 'ERR_INVALID_ARG_VALUE'

  constructor(argument: string, reason: string, actual: unknown, shown = inspect(actual)) {
    const text = shown.length > 128 ? `${shown.slice(0, 128)}...` : shown
    super(`The ${kindOf(argument)} '${argument}' ${reason}. Received ${text}`)
  }
}

/** Equals Node's own ERR_OUT_OF_RANGE. */
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

/** Writes whole numbers above 2^32 with underscores, as Node does. */
function legible(value: unknown): string {
  if (typeof value !== 'number' || !Number.isInteger(value) || Math.abs(value) <= 2 ** 32) {
    return inspect(value)
  }
  return String(value).replace(/\B(?=(\d{3})+$)/g, '_')
}

/** Describes a value in the words of Node's own argument errors. */
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

/** As {@link checkObject}, for a parameter that is typed already: JavaScript callers can pass anything. */
export function checkOptions(argument: string, value: object): void {
  checkObject(argument, value)
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
