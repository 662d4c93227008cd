/** Uploads whose server answers early and closes, while the client keeps writing. */
import { once } from 'node:events'
import * as net from 'node:net'
import * as tls from 'node:tls'
import { setOption } from '../../lib'
import type { Certificate } from '../helpers/certificate'
import { readTable, stateOf, unreadAt, type State } from '../helpers/tcp-table'
import { DELIVERED_WITHIN_MS, destroyLater, listen } from '../sockets'

/** Starts a server that reads. Its next connection resolves when its first data has arrived. */
export async function serveUploads(
  certificate?: Certificate,
): Promise<{ port: number; next: () => Promise<net.Socket> }> {
  const server = certificate === undefined ? net.createServer() : tls.createServer(certificate)
  const port = await listen(server)
  const event = certificate === undefined ? 'connection' : 'secureConnection'
  const next = async (): Promise<net.Socket> => {
    const [socket] = (await once(server, event)) as [net.Socket]
    destroyLater(socket)
    socket.on('error', () => undefined)
    await once(socket, 'data')
    socket.resume()
    return socket
  }
  return { port, next }
}

export type End = 'a RST' | 'a FIN and then a RST'

/**
 * Sends an answer and closes, and returns when the client's kernel has everything, but before its event loop
 * has noticed.
 *
 * @param write makes the client write, which causes the RST after a FIN
 */
export function answerAndClose(
  socket: net.Socket,
  answer: string,
  end: End,
  write: () => unknown,
): void {
  const { localPort: remotePort = 0, remotePort: localPort = 0 } = socket
  const client = { localPort, remotePort }
  const comes = (what: string, has: (table: string) => boolean): void => {
    const began = performance.now()
    while (!has(readTable())) {
      if (performance.now() - began > DELIVERED_WITHIN_MS) throw new Error(`${what} has not come`)
    }
  }
  const isIn =
    (state: State | undefined) =>
    (table: string): boolean =>
      stateOf(table, client) === state
  if (answer.length > 0) {
    socket.write(answer)
    const length = Buffer.byteLength(answer)
    comes('the answer', (table) => unreadAt(table, client) >= length)
  }
  if (end === 'a RST') {
    setOption(socket, 'SO_LINGER', { enabled: true, seconds: 0 })
    socket.destroy()
  } else {
    socket.destroy()
    comes('the FIN', isIn('CLOSE_WAIT'))
    write()
  }
  comes('the RST', isIn(undefined))
}
