/** Makes servers listen on sockets that this library opened. */
import type * as net from 'node:net'
import { SocketTunerError } from '../errors'
import { listenWith } from '../node/adopt'
import { MAX_INT32, whole } from '../spec'
import { adoptSocket } from './open'

/** Node's own default. */
export const DEFAULT_BACKLOG = 511
/** The most connections that may wait for accept(). */
export const backlogField = whole(1, MAX_INT32)
export const backlogOption = backlogField.default(DEFAULT_BACKLOG)

/**
 * Makes a server listen on a bound descriptor, which the server then owns. It passes a handle rather than
 * `server.listen({ fd })`, for which Node ignores the backlog, and for which a cluster worker asks its primary
 * for the descriptor with that number.
 */
export function listenOnDescriptor(
  server: net.Server,
  fd: number,
  backlog: number,
  listening?: () => void,
): void {
  listenOnSocket(server, adoptSocket(fd), backlog, listening)
}

/** As {@link listenOnDescriptor}, with the handle of a net.Socket, which then has none. */
export function listenOnSocket(
  server: net.Server,
  holder: net.Socket,
  backlog: number,
  listening?: () => void,
): void {
  try {
    listenWith(server, holder, backlog, listening)
  } catch (error) {
    holder.destroy()
    throw error
  }
}

/** The error for a server that cannot listen a second time. @param subject `The server` */
export function alreadyListening(subject: string): SocketTunerError {
  return new SocketTunerError(`${subject} is already listening`, {
    code: 'ERR_SERVER_ALREADY_LISTEN',
  })
}

/** Calls `begin` and resolves once the server listens. Rejects with an error that `begin` throws, and with 'error'. */
export function untilListening(server: net.Server, begin: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      server.off('listening', listening)
      server.off('error', failed)
    }
    const listening = (): void => {
      settle()
      resolve()
    }
    const failed = (error: Error): void => {
      settle()
      reject(error)
    }
    server.on('listening', listening)
    server.on('error', failed)
    try {
      begin()
    } catch (error) {
      failed(error as Error)
    }
  })
}
