/** The demo's server: a process of its own, so that it does not share the client's event loop. */
import { once } from 'node:events'
import * as net from 'node:net'
import { closeModeNames } from '../index'
import { endWithParent, sendToParent } from './parent'
import {
  ANSWER,
  type FromServer,
  type ModePorts,
  type Observed,
  type ServerPorts,
  type Settle,
} from './protocol'

/** The pause before a slow reader begins to read, ms. */
const PAUSE_MS = 300

class ObservedServer {
  readonly #server: net.Server
  readonly #errors: Record<string, number> = {}
  #open = 0
  #closed = 0
  #received = 0
  #waiting: { connections: number; report: (observed: Observed) => void } | undefined

  constructor(slow: boolean) {
    this.#server = net.createServer({ pauseOnConnect: slow }, (socket) => {
      this.#watch(socket)
      if (slow) setTimeout(() => socket.resume(), PAUSE_MS)
      else socket.once('data', () => socket.write(ANSWER))
    })
  }

  async listen(host: string, port: number): Promise<number> {
    this.#server.listen(port, host)
    await once(this.#server, 'listening')
    return (this.#server.address() as net.AddressInfo).port
  }

  settle(connections: number, report: (observed: Observed) => void): void {
    this.#waiting = { connections, report }
    this.#check()
  }

  #watch(socket: net.Socket): void {
    this.#open++
    socket.on('data', (chunk) => {
      this.#received += chunk.length
    })
    socket.on('error', ({ code = 'unknown' }: NodeJS.ErrnoException) => {
      this.#errors[code] = (this.#errors[code] ?? 0) + 1
    })
    socket.on('close', () => {
      this.#open--
      this.#closed++
      this.#check()
    })
  }

  #check(): void {
    const waiting = this.#waiting
    if (waiting === undefined || this.#open > 0 || this.#closed < waiting.connections) return
    this.#waiting = undefined
    waiting.report({ closed: this.#closed, received: this.#received, errors: this.#errors })
  }
}

function send(message: FromServer): void {
  sendToParent(message)
}

/** @param first the lowest port to listen on; 0 for any free ports */
async function serve(host: string, first: number): Promise<void> {
  const servers = new Map<number, ObservedServer>()
  const open = async (slow: boolean, offset: number): Promise<number> => {
    const server = new ObservedServer(slow)
    const port = await server.listen(host, first === 0 ? 0 : first + offset)
    servers.set(port, server)
    return port
  }
  const pairs = await Promise.all(
    closeModeNames.map(async (mode, index): Promise<[string, ModePorts]> => {
      const [answer, warmUp, slow] = await Promise.all([
        open(false, 3 * index),
        open(false, 3 * index + 1),
        open(true, 3 * index + 2),
      ])
      return [mode, { answer, warmUp, slow }]
    }),
  )
  process.on('message', ({ port, connections }: Settle) => {
    servers.get(port)?.settle(connections, (observed) => {
      send({ type: 'settled', port, observed })
    })
  })
  send({ type: 'listening', ports: Object.fromEntries(pairs) as unknown as ServerPorts })
}

endWithParent(() => process.exit())
const [, , host = '127.0.0.1', first = '0'] = process.argv
void serve(host, Number(first))
