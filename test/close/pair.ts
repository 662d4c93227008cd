/** A connection on loopback whose two ends a test holds, plain or TLS. */
import { once } from 'node:events'
import * as net from 'node:net'
import * as tls from 'node:tls'
import { closeLater } from '../sockets'
import { leftStates } from '../helpers/left-states'
import { readTable, stateOf, type Connection, type State } from '../helpers/tcp-table'
import { makeCertificate, type Certificate } from '../helpers/certificate'

export type Transport = 'tcp' | 'tls'

/** What came to the accepted socket. */
export interface Received {
  bytes: number
  ended: boolean
  error: string | undefined
}

export class Pair {
  readonly received: Received = { bytes: 0, ended: false, error: undefined }
  readonly #ends: Connection
  /** The accepted socket was closed. */
  readonly peerClosed: Promise<unknown>

  constructor(
    readonly client: net.Socket,
    readonly peer: net.Socket,
    /** The accepted socket below TLS. */
    readonly carrier: net.Socket,
  ) {
    this.#ends = { localPort: client.localPort ?? 0, remotePort: client.remotePort ?? 0 }
    this.peerClosed = new Promise((resolve) => peer.once('close', resolve))
    peer.on('data', (chunk: Buffer) => (this.received.bytes += chunk.length))
    peer.on('end', () => (this.received.ended = true))
    peer.on('error', (error: NodeJS.ErrnoException) => (this.received.error = error.code))
    client.on('error', () => undefined)
  }

  /** The state that the client's end is in; undefined when the kernel has forgotten it. */
  state(): State | undefined {
    return stateOf(readTable(), this.#ends)
  }

  /** The same when the connection is over. */
  async left(): Promise<State | undefined> {
    const [state] = await leftStates([this.#ends])
    return state
  }
}

/** Stands between the two ends, and can keep back what the accepting one sends. */
export class Relay {
  readonly errors: (string | undefined)[] = []
  readonly #kept: Buffer[] = []
  #front: net.Socket | undefined
  #keeps = false

  /** The port that leads to `port`. */
  async to(port: number): Promise<number> {
    const server = net.createServer({ allowHalfOpen: true }, (front) => {
      this.#front = front
      const back = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
      for (const socket of [front, back]) {
        closeLater(() => socket.destroy())
        socket.on('error', ({ code }: NodeJS.ErrnoException) => this.errors.push(code))
      }
      front.pipe(back)
      back.on('data', (chunk: Buffer) => {
        if (this.#keeps) this.#kept.push(chunk)
        else front.write(chunk)
      })
    })
    closeLater(() => server.close())
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as net.AddressInfo).port
  }

  keep(): void {
    this.#keeps = true
  }

  release(): void {
    this.#keeps = false
    this.#front?.write(Buffer.concat(this.#kept.splice(0)))
  }
}

let certificate: Certificate | undefined

/**
 * Connects; both sides are complete. The peer half-closes only when the test says so with `allowHalfOpen`.
 * A relay keeps what the peer sends from when the client has completed its TLS handshake.
 */
export async function connected(
  transport: Transport = 'tcp',
  options: net.ServerOpts = {},
  relay?: Relay,
): Promise<Pair> {
  const isTls = transport === 'tls'
  if (isTls) certificate ??= makeCertificate()
  const server = isTls
    ? tls.createServer({ ...certificate, ...options })
    : net.createServer(options)
  closeLater(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port: listens } = server.address() as net.AddressInfo
  const port = relay === undefined ? listens : await relay.to(listens)
  const accepted = once(server, isTls ? 'secureConnection' : 'connection')
  const carrier = once(server, 'connection')
  const client = isTls
    ? tls.connect({ port, host: '127.0.0.1', ca: certificate?.cert, servername: 'localhost' })
    : net.connect(port, '127.0.0.1')
  closeLater(() => client.destroy())
  client.once('secureConnect', () => relay?.keep())
  await once(client, isTls ? 'secureConnect' : 'connect')
  const [peer] = (await accepted) as [net.Socket]
  closeLater(() => peer.destroy())
  const [below] = (await carrier) as [net.Socket]
  return new Pair(client, peer, below)
}
