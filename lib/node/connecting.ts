/**
 * A socket that a listener of its own 'connectionAttempt' destroys. Node emits that event right before it
 * calls connect() on the socket's handle, and does not look whether the handle is still there: the process
 * ends by a TypeError.
 */
import type * as net from 'node:net'
import { constants as os } from 'node:os'

/** The parts of a net.Socket that matter here. */
interface Connecting {
  _handle?: object | null
  /** Keeps Node from going on to the next address of a host. */
  _aborted?: boolean
}

/** Refuses the connect() that may follow in this tick. To be called when a connecting socket was destroyed. */
export function refuseConnect(socket: net.Socket): void {
  const parts = socket as Connecting
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
