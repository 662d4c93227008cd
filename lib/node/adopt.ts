/** Creates Node's sockets and servers on descriptors that this library opened. Node then owns the descriptor. */
import * as net from 'node:net'

/** Options that Node's typings lack. Without `manualStart` the socket would be read before it is connected. */
interface ManualStart {
  readonly fd: number
  readonly readable: true
  readonly writable: true
  readonly manualStart: true
}

function onDescriptor(fd: number): ManualStart {
  return { fd, readable: true, writable: true, manualStart: true }
}

/**
 * Returns a net.Socket on a descriptor that is not connected. Call its connect().
 *
 * @throws as Node does: EEXIST if another socket or server of this process has the descriptor
 */
export function socketOn(fd: number, options: net.SocketConstructorOpts = {}): net.Socket {
  return new net.Socket({ ...options, ...onDescriptor(fd) })
}

/** Returns a net.Socket on a descriptor that connects to a path in this tick. */
export function connectOn(
  fd: number,
  options: net.IpcNetConnectOpts,
  connectListener: (() => void) | undefined,
): net.Socket {
  return net.connect({ ...options, ...onDescriptor(fd) }, connectListener)
}

/** Makes a server listen with the handle of a net.Socket, and takes the handle away from the socket. */
export function listenWith(
  server: net.Server,
  holder: net.Socket,
  backlog: number,
  listening?: () => void,
): void {
  server.listen(holder, backlog, listening)
  Object.assign(holder, { _handle: null })
}
