/** Sockets that keep the process running, or do not: `ref()` and `unref()`. */
import type * as net from 'node:net'

interface References {
  ref: (this: net.Socket) => net.Socket
  unref: (this: net.Socket) => net.Socket
}

/** Calls `referenced` after each ref() of a socket, and `unreferenced` after each unref(). */
export function followReferences(
  socket: net.Socket,
  referenced: () => void,
  unreferenced: () => void,
): void {
  const methods: References = socket
  const { ref, unref } = methods
  methods.ref = () => {
    ref.call(socket)
    referenced()
    return socket
  }
  methods.unref = () => {
    unref.call(socket)
    unreferenced()
    return socket
  }
}
