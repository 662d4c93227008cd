import { once } from 'node:events'
import * as net from 'node:net'
import { destroyLater, listen, loopback } from '../sockets'
import { countStates, readTable } from './tcp-table'

/** More than the ephemeral ports that old connections can occupy. */
const MOST_TRIES = 100_000

/**
 * Listens on a port that no connection in this network namespace uses at either end, for tests that count
 * connections by port. With port 0 alone, the kernel may choose a port that an earlier test left in TIME_WAIT.
 */
export async function listenOnFreshPort(server: net.Server, host?: string): Promise<number> {
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const port = await listen(server, host)
    const table = readTable()
    const left = [{ localPort: port }, { remotePort: port }].map((end) => countStates(table, end))
    if (left.every((states) => Object.keys(states).length === 0)) return port
    server.close()
    await once(server, 'close')
  }
  throw new Error('every port that the kernel chooses for listen(2) has a connection')
}

/** Returns a port of the ephemeral range that no socket uses. */
export async function freshPort(): Promise<number> {
  const server = net.createServer()
  const port = await listenOnFreshPort(server)
  server.close()
  await once(server, 'close')
  return port
}

/** Starts a server on such a port, opens `count` connections to it, and returns the port. */
export async function connectionsToFreshPort(count: number): Promise<number> {
  const server = net.createServer((socket) => {
    destroyLater(socket)
  })
  const port = await listenOnFreshPort(server)
  for (let i = 0; i < count; i++) {
    const socket = net.connect(port, loopback[4])
    destroyLater(socket)
    await once(socket, 'connect')
  }
  return port
}
