/** The part of `onEnd: 'close'` that Node's own end() does not do. */
import { once } from 'node:events'
import type * as net from 'node:net'
import { pushEnd } from '../node/closing'

const kEndedHere = Symbol('socket-tuner reading ended')

interface Ended {
  /** 'end' is not the peer's. */
  [kEndedHere]?: boolean
}

/** Whether a socket's stream has ended because the peer ended it. */
export function hasPeerEnded(socket: Pick<net.Socket, 'readableEnded'> & Ended): boolean {
  return socket.readableEnded && socket[kEndedHere] !== true
}

/**
 * Ends the reading of a socket that is about to be closed by its own end(), and calls `then`. Otherwise, a pipe from the
 * socket would never end its destination, and a pipeline would fail.
 */
export function endReading(socket: net.Socket & Ended, then: () => void): void {
  if (socket.readableEnded) {
    then()
    return
  }
  socket[kEndedHere] = true
  socket.once('connect', () => {
    socket[kEndedHere] = false
  })
  pushEnd(socket)
  // A reader gets 'end' within a few ticks. They must pass before the stream finishes: on TLS, a pause between
  // close_notify and close(2) would give libuv the time for a shutdown().
  setImmediate(then)
}

/**
 * Makes `await using` deliver what was written. Node's own disposal destroys the socket, and discards what has not
 * reached the kernel.
 */
export function disposeByEnd(socket: net.Socket, deadlineMs: number): void {
  socket[Symbol.asyncDispose] = () => endAndClose(socket, deadlineMs)
}

/** Restores Node's own disposal. */
export function disposeAsNode(socket: net.Socket): void {
  Reflect.deleteProperty(socket, Symbol.asyncDispose)
}

async function endAndClose(socket: net.Socket, deadlineMs: number): Promise<void> {
  if (socket.closed) return
  const closed = once(socket, 'close')
  const deadline = setTimeout(() => socket.destroy(), deadlineMs)
  socket.destroySoon()
  try {
    await closed
  } finally {
    clearTimeout(deadline)
  }
}
