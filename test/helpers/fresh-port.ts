import { once } from 'node:events'
import * as net from 'node:net'
import { destroyLater, listen, loopback } from '../sockets'
import { countStates, readTable } from './tcp-table'

/** More than all ports of the range of which a connection could be left. */
const MOST_TRIES = 100_000

/**
 * listen(), on a port that no connection in this network namespace has at either end, for tests that
 * count by port. Port 0 may otherwise give one that an earlier test's connections have in TIME_WAIT.
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
  throw new Error('every port that listen(2) gives is one of a connection')
}

/** Such a port, of the ephemeral range, with nothing on it. */
export async function freshPort(): Promise<number> {
  const server = net.createServer()
  const port = await listenOnFreshPort(server)
  server.close()
  await once(server, 'close')
  return port
}

/** A server on such a port, with so many connections to it. */
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
