/** The demo's server: a process of its own, as a server is, so that it does not share the client's event loop. */
import * as net from 'node:net'
import { closeModeNames } from '../../index'
import { once } from 'node:events'
import {
  ANSWER,
  type FromServer,
  type ModePorts,
  type Seen,
  type ServerPorts,
  type Settle,
} from './messages'
import { endWithParent, tellParent } from './parent'

/** How long the slow reader pauses before it reads. */
const PAUSE_MS = 300

class Listener {
  readonly #server: net.Server
  readonly #errors: Record<string, number> = {}
  #open = 0
  #closed = 0
  #received = 0
  #waiting: { connections: number; tell: (seen: Seen) => void } | undefined

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

  settle(connections: number, tell: (seen: Seen) => void): void {
    this.#waiting = { connections, tell }
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
    waiting.tell({ closed: this.#closed, received: this.#received, errors: this.#errors })
  }
}

function send(message: FromServer): void {
  tellParent(message)
}

/** `first` is the lowest port to listen on; 0 for any that are free. */
async function serve(host: string, first: number): Promise<void> {
  const listeners = new Map<number, Listener>()
  const open = async (slow: boolean, offset: number): Promise<number> => {
    const listener = new Listener(slow)
    const port = await listener.listen(host, first === 0 ? 0 : first + offset)
    listeners.set(port, listener)
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
    listeners.get(port)?.settle(connections, (seen) => {
      send({ type: 'settled', port, seen })
    })
  })
  send({ type: 'listening', ports: Object.fromEntries(pairs) as unknown as ServerPorts })
}

endWithParent(() => process.exit())
const [, , host = '127.0.0.1', first = '0'] = process.argv
void serve(host, Number(first))
