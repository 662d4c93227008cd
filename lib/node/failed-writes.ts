/**
 * Failed writes. Node's stream writes by `_write` and `_writev`. It destroys the socket as soon as their callback gets
 * an error, even if the kernel holds unread data of the peer.
 */
import type * as net from 'node:net'
import type { WriteCallback } from './intercept'

/** The methods that the stream calls, one call at a time. */
interface Writing {
  _write: (
    this: net.Socket,
    chunk: unknown,
    encoding: BufferEncoding,
    callback: WriteCallback,
  ) => void
  _writev: (this: net.Socket, chunks: unknown, callback: WriteCallback) => void
}

type OnFailedWrite = (error: NodeJS.ErrnoException, fail: () => void) => void

const kGuard = Symbol('socket-tuner write guard')

/** The methods of one socket that were replaced. */
interface Guard {
  readonly write: Writing['_write']
  readonly writev: Writing['_writev']
  readonly failed: OnFailedWrite
  /** The callback of the stream, which gives the same one to each of its writes, and what is passed on instead. */
  own: WriteCallback | undefined
  guarded: WriteCallback | undefined
}

type Guarded = Writing & { [kGuard]: Guard }

/**
 * Calls `failed` when a write fails, instead of destroying the socket. Until `fail` is called, the write counts as in
 * progress: the stream starts no other write, and keeps reading.
 *
 * @param failed gets the error and `fail`, which destroys the socket as Node would have done. If the socket is already
 *   destroyed, `fail` only reports the error to the writer.
 */
export function interceptFailedWrites(socket: net.Socket, failed: OnFailedWrite): void {
  const parts = socket as unknown as Guarded
  parts[kGuard] = {
    write: parts._write,
    writev: parts._writev,
    failed,
    own: undefined,
    guarded: undefined,
  }
  // The same functions for all sockets: closures of each would cost a busy client several percent of its throughput.
  parts._write = guardedWrite
  parts._writev = guardedWritev
}

function guardedWrite(
  this: net.Socket,
  chunk: unknown,
  encoding: BufferEncoding,
  callback: WriteCallback,
): void {
  const guard = (this as unknown as Guarded)[kGuard]
  guard.write.call(this, chunk, encoding, callbackOf(guard, callback))
}

function guardedWritev(this: net.Socket, chunks: unknown, callback: WriteCallback): void {
  const guard = (this as unknown as Guarded)[kGuard]
  guard.writev.call(this, chunks, callbackOf(guard, callback))
}

function callbackOf(guard: Guard, callback: WriteCallback): WriteCallback {
  if (callback === guard.own && guard.guarded !== undefined) return guard.guarded
  guard.own = callback
  guard.guarded = (error) => {
    if (error === undefined || error === null) {
      callback()
      return
    }
    guard.failed(error, () => {
      callback(error)
    })
  }
  return guard.guarded
}
