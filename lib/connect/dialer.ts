/** The two ways to call Node's connect(): on a new net.Socket, and on an existing one. */
import type * as net from 'node:net'
import { connect, Socket } from 'node:net'
import { connectOn } from '../node/adopt'
import { beforePathConnect } from '../node/connecting'
import { giveTo } from './open'

type ConnectListener = (() => void) | undefined

export interface Dialer {
  connect(options: net.NetConnectOpts, connectListener: ConnectListener): net.Socket
  /**
   * Connects to a path on a descriptor that this library opens.
   *
   * @param open returns the descriptor, which Node then owns; an error that it throws is emitted as 'error'
   */
  connectOn(
    open: () => number,
    options: net.IpcNetConnectOpts,
    connectListener: ConnectListener,
  ): net.Socket
}

/** Calls net.connect(), which creates a net.Socket and connects it. */
export const newSocket: Dialer = {
  connect: (options, connectListener) => connect(options, connectListener),
  connectOn: (open, options, connectListener) => {
    let fd: number
    try {
      fd = open()
    } catch (error) {
      return new Socket(options).destroy(error as Error)
    }
    // Node calls connect(2) in this tick, so the socket must have its descriptor before.
    return connectOn(fd, options, connectListener)
  },
}

/**
 * Connects an existing net.Socket.
 *
 * @param connect Node's own connect() of the socket
 */
export function existingSocket(socket: net.Socket, connect: Dialer['connect']): Dialer {
  return {
    connect,
    connectOn: (open, options, connectListener) => {
      const give = (handle: Parameters<typeof giveTo>[0]): void => {
        giveTo(handle, open())
      }
      beforePathConnect(socket, give, () => connect(options, connectListener))
      return socket
    },
  }
}
