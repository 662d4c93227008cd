/** What Node does to a net.Socket while it connects. */
import type * as net from 'node:net'
import { constants as os } from 'node:os'

interface Connecting {
  _handle?: object | null
  /** Keeps Node from going on to the next address of a host. */
  _aborted?: boolean
  /** The addresses that were tried, as `host:port`. */
  autoSelectFamilyAttemptedAddresses?: readonly string[]
  /** Without the types of its events. */
  emit: (event: string, ...args: unknown[]) => boolean
}

/**
 * Refuses the connect() that may follow in this tick. To be called when a connecting socket was destroyed.
 *
 * Node emits 'connectionAttempt' right before it calls connect() on the socket's handle, and does not look
 * whether the handle is still there: where a listener has destroyed the socket, the process would end by a
 * TypeError.
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

/** Runs `action`, in which the socket emits none of these events. */
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
    // Not deleted: V8 would keep the socket's other properties in a hash table.
    parts.emit = emit
  }
}

/** Sets the addresses that were tried, as Node's own selection of the family does. */
export function setAttemptedAddresses(socket: net.Socket, addresses: readonly string[]): void {
  connectingOf(socket).autoSelectFamilyAttemptedAddresses = addresses
}

function connectingOf(socket: net.Socket): Connecting {
  return socket
}
