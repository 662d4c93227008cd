/** The connect() of the TCP handle below a net.Socket: one call of it can be answered by this library. */
import type * as net from 'node:net'
import type { Handle } from './handle'

/** What Node keeps of a connect() that is under way. */
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

/** The parts of Node's TCP handle that are used. */
export interface TcpHandle {
  connect: HandleConnect
  connect6: HandleConnect
  open(fd: number): number
}

/** One call of a handle's connect(). */
export interface HandleCall {
  readonly family: 4 | 6
  readonly address: string
  readonly port: number
  readonly request: ConnectRequest
  /** Makes it as Node does: 0 when it is under way, or the negated errno. */
  readonly connect: () => number
}

/** Undefined where there is none, or one of another kind, or of a release that is not known. */
export function tcpHandle(handle: Handle | undefined): TcpHandle | undefined {
  const tcp = handle as Partial<TcpHandle> | undefined
  const isTcp =
    typeof tcp?.connect === 'function' &&
    typeof tcp.connect6 === 'function' &&
    typeof tcp.open === 'function'
  return isTcp ? (tcp as TcpHandle) : undefined
}

/** Whether it is the handle of a TCP socket: that of a unix-domain one has no connect6(). */
export function isTcp(handle: Handle | undefined): handle is Handle {
  return handle !== undefined && 'connect6' in handle
}

/** Whether the next connect() of a handle is answered, or one was. */
export function isPrepared(handle: object): boolean {
  return Object.hasOwn(handle, 'connect')
}

/** Lets `answer` make the next connect() of a handle, and none after that. */
export function answerConnect(handle: TcpHandle, answer: (call: HandleCall) => number): void {
  const { connect, connect6 } = handle
  const answering = (family: 4 | 6, own: HandleConnect): HandleConnect => {
    return (request, address, port, ...rest) => {
      // From now on the handle has its own methods again. To delete these would make each access to the
      // handle a search in a hash table, 1 % of what a busy client can do.
      handle.connect = connect
      handle.connect6 = connect6
      const proceed = (): number => own.call(handle, request, address, port, ...rest)
      return answer({ family, address, port, request, connect: proceed })
    }
  }
  handle.connect = answering(4, connect)
  handle.connect6 = answering(6, connect6)
}

/** A net.Socket's emit() and destroy(), without the types of its events. */
interface Methods {
  emit: (event: string, ...args: unknown[]) => boolean
  destroy: (error?: Error) => net.Socket
}

/**
 * Puts an error of the caller's in the place of the one that Node makes when a connect() that was under
 * way has failed: in 'connectionAttemptFailed' and 'error'.
 *
 * @param failure undefined where Node's own error is to stay
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

/** Runs `action`, in which Node reports a failed attempt and destroys the socket, both with one error. */
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
