/** The state of a net.Socket while it connects. */
import type * as net from 'node:net'
import { constants as os } from 'node:os'
import { SocketTunerError } from '../errors'
import { handleOf, type Adopting } from './handle'

interface Connecting {
  _handle?: object | null
  /** Prevents Node from trying the next address of a host. */
  _aborted?: boolean
  /** The addresses that were tried, as `host:port`. */
  autoSelectFamilyAttemptedAddresses?: readonly string[]
  /** Typed without its events. */
  emit: (event: string, ...args: unknown[]) => boolean
}

/**
 * Refuses a connect() that may follow in this tick. For a connecting socket that was just destroyed.
 *
 * Node emits 'connectionAttempt' right before it calls connect() on the handle, and does not check that the handle
 * still exists. If a listener destroys the socket, the process would end with a TypeError.
 */
export function refuseConnect(socket: net.Socket): void {
  const parts = connectingOf(socket)
  if (parts._handle !== null) return
  const { _aborted } = parts
  const refuse = (): number => {
    parts._aborted = true
    return -os.errno.ECANCELED
  }
  const standIn = { connect: refuse, connect6: refuse, bytesRead: 0, bytesWritten: 0 }
  parts._handle = standIn
  process.nextTick(() => {
    if (parts._handle !== standIn) return
    parts._handle = null
    parts._aborted = _aborted ?? false
  })
}

/**
 * Runs `connect`, in which a net.Socket connects to a path. Node creates a handle, emits 'connectionAttempt' and calls
 * connect(2) in this one call.
 *
 * @param give called with the handle before it has a descriptor; an error that it throws destroys the socket
 */
export function beforePathConnect(
  socket: net.Socket,
  give: (handle: Adopting) => void,
  connect: () => void,
): void {
  const onAttempt = (): void => {
    // Another listener may have destroyed the socket.
    if (socket.destroyed) return
    try {
      give(adopting(handleOf(socket)))
    } catch (error) {
      socket.destroy(error as Error)
      refuseConnect(socket)
    }
  }
  socket.prependOnceListener('connectionAttempt', onAttempt)
  try {
    connect()
  } finally {
    socket.off('connectionAttempt', onAttempt)
  }
}

function adopting(handle: object | undefined): Adopting {
  const { open } = (handle ?? {}) as Partial<Adopting>
  if (typeof open === 'function') return handle as Adopting
  throw new SocketTunerError('This release of Node has no handle that takes a descriptor', {
    code: 'ERR_SOCKET_TUNER_UNSUPPORTED',
    syscall: 'connect',
  })
}

/** Runs `action` while the socket emits none of these events. */
export function withoutEvents(
  socket: net.Socket,
  events: ReadonlySet<string>,
  action: () => void,
): void {
  const parts = connectingOf(socket)
  const { emit } = parts
  parts.emit = (event, ...args) => !events.has(event) && emit.call(socket, event, ...args)
  try {
    action()
  } finally {
    // Assigned, not deleted: after a delete, V8 would store the properties of the socket in a hash table.
    parts.emit = emit
  }
}

/** Sets the list of attempted addresses, as Node's own Happy Eyeballs does. */
export function setAttemptedAddresses(socket: net.Socket, addresses: readonly string[]): void {
  connectingOf(socket).autoSelectFamilyAttemptedAddresses = addresses
}

function connectingOf(socket: net.Socket): Connecting {
  return socket
}
