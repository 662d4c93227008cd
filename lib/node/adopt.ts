/** Node's sockets and servers on descriptors that were opened here. From then on Node owns the descriptor. */
import * as net from 'node:net'

/** What Node's typings leave out: without it the socket is read before it is connected. */
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
 * A net.Socket on a descriptor that is not connected: call its connect().
 *
 * @throws as Node: EEXIST where another socket or server of this process has the descriptor
 */
export function socketOn(fd: number, options: net.SocketConstructorOpts = {}): net.Socket {
  return new net.Socket({ ...options, ...onDescriptor(fd) })
}

/** A net.Socket that connects to a path on a descriptor, in this very tick. */
export function connectOn(
  fd: number,
  options: net.IpcNetConnectOpts,
  connectListener: (() => void) | undefined,
): net.Socket {
  return net.connect({ ...options, ...onDescriptor(fd) }, connectListener)
}

/** Makes a server listen with the handle of a net.Socket, which has none from then on. */
export function listenWith(
  server: net.Server,
  holder: net.Socket,
  backlog: number,
  listening?: () => void,
): void {
  server.listen(holder, backlog, listening)
  Object.assign(holder, { _handle: null })
}
