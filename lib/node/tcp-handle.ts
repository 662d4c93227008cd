/** Replaces one call of connect() on the TCP handle of a net.Socket. */
import type * as net from 'node:net'
import type { Adopting, Handle } from './handle'

/** Node's request object of a connect() in progress. */
export interface ConnectRequest {
  oncomplete: (
    status: number,
    handle: TcpHandle,
    request: ConnectRequest,
    readable: boolean,
    writable: boolean,
  ) => void
}

type HandleConnect = (
  request: ConnectRequest,
  address: string,
  port: number,
  ...rest: readonly unknown[]
) => number

/** The members of Node's TCP handle that are used here. */
export interface TcpHandle extends Adopting {
  connect: HandleConnect
  connect6: HandleConnect
  /** Below 0 while there is no descriptor. */
  readonly fd?: number
}

/** A call of a handle's connect(). */
export interface HandleCall {
  readonly family: 4 | 6
  readonly address: string
  readonly port: number
  readonly request: ConnectRequest
  /** Makes the original call. Returns 0 if the connection is in progress, or the negated errno. */
  readonly connect: () => number
}

/** The handle as a TCP handle; undefined if it is missing, of another kind, or of an unknown release of Node. */
export function tcpHandle(handle: Handle | undefined): TcpHandle | undefined {
  const tcp = handle as Partial<TcpHandle> | undefined
  const isTcp =
    typeof tcp?.connect === 'function' &&
    typeof tcp.connect6 === 'function' &&
    typeof tcp.open === 'function'
  return isTcp ? (tcp as TcpHandle) : undefined
}

/** Whether this is the handle of a TCP socket. That of a unix-domain socket has no connect6(). */
export function isTcp(handle: Handle | undefined): handle is Handle {
  return handle !== undefined && 'connect6' in handle
}

/** Whether {@link answerConnect} was called for a handle. */
export function isPrepared(handle: object): boolean {
  return Object.hasOwn(handle, 'connect')
}

/** Calls `answer` instead of the next connect() of a handle, once. */
export function answerConnect(handle: TcpHandle, answer: (call: HandleCall) => number): void {
  const { connect, connect6 } = handle
  const answering = (family: 4 | 6, own: HandleConnect): HandleConnect => {
    return (request, address, port, ...rest) => {
      // Restores the original methods. Deleting the properties would turn each access to the handle into a
      // hash table lookup, which costs a busy client 1 % of its throughput.
      handle.connect = connect
      handle.connect6 = connect6
      const proceed = (): number => own.call(handle, request, address, port, ...rest)
      return answer({ family, address, port, request, connect: proceed })
    }
  }
  handle.connect = answering(4, connect)
  handle.connect6 = answering(6, connect6)
}

/** emit() and destroy() of a net.Socket, typed without its events. */
interface Methods {
  emit: (event: string, ...args: unknown[]) => boolean
  destroy: (error?: Error) => net.Socket
}

/**
 * Replaces Node's error for a connect() that fails later, in 'connectionAttemptFailed' and 'error'.
 *
 * @param failure returns the new error, or undefined to keep Node's
 */
export function replaceConnectError(
  socket: net.Socket,
  request: ConnectRequest,
  failure: (status: number) => Error | undefined,
): void {
  const { oncomplete } = request
  request.oncomplete = (status, ...rest) => {
    const error = status < 0 && !socket.destroyed ? failure(status) : undefined
    if (error === undefined) {
      oncomplete.call(request, status, ...rest)
      return
    }
    substitute(socket, error, () => {
      oncomplete.call(request, status, ...rest)
    })
  }
}

/** Runs `action`, in which Node emits 'connectionAttemptFailed' and destroys the socket with the same error. */
function substitute(socket: net.Socket, error: Error, action: () => void): void {
  const { emit, destroy } = socket as Methods
  const own = (['emit', 'destroy'] as const).filter((name) => Object.hasOwn(socket, name))
  let nodes: unknown
  Object.assign(socket, {
    emit: (event: string, ...args: unknown[]) => {
      if (event !== 'connectionAttemptFailed') return emit.call(socket, event, ...args)
      nodes = args.at(-1)
      return emit.call(socket, event, ...args.slice(0, -1), error)
    },
    destroy: (reason?: Error) => destroy.call(socket, reason === nodes ? error : reason),
  } satisfies Methods)
  try {
    action()
  } finally {
    Object.assign(socket, { emit, destroy })
    for (const name of ['emit', 'destroy'] as const)
      if (!own.includes(name)) Reflect.deleteProperty(socket, name)
  }
}
