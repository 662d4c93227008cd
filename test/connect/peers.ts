/** Servers to connect to, and lookups that find them. */
import { once } from 'node:events'
import * as net from 'node:net'
import { closeLater, destroyLater } from '../sockets'

/** Starts an echo server at a path. */
export async function serveEchoAt(path: string): Promise<string> {
  const server = net.createServer((socket) => {
    destroyLater(socket)
    socket.pipe(socket)
  })
  closeLater(() => server.close())
  server.listen(path)
  await once(server, 'listening')
  return path
}

/** Returns a lookup that resolves every name to these addresses. */
export function lookupOf(...addresses: string[]): net.LookupFunction {
  return (_host, _options, callback) => {
    process.nextTick(() => {
      callback(
        null,
        addresses.map((address) => ({ address, family: net.isIP(address) })),
      )
    })
  }
}
