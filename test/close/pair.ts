/** Both ends of a connection on loopback, plain or TLS. */
import { once } from 'node:events'
import * as net from 'node:net'
import * as tls from 'node:tls'
import { closeLater } from '../sockets'
import { leftStates } from '../helpers/left-states'
import { readTable, stateOf, type Connection, type State } from '../helpers/tcp-table'
import { makeCertificate, type Certificate } from '../helpers/certificate'

/** `tls over tcp` is a plain socket that the program passes to tls.connect(). */
export type Transport = 'tcp' | 'tls' | 'tls over tcp'

/** The data that the accepted socket has received. */
export interface Received {
  bytes: number
  ended: boolean
  error: string | undefined
}

export class Pair {
  readonly received: Received = { bytes: 0, ended: false, error: undefined }
  readonly #ends: Connection
  /** Resolves when the accepted socket is closed. */
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

  /** Returns the state of the client's end, or undefined if the kernel no longer lists it. */
  state(): State | undefined {
    return stateOf(readTable(), this.#ends)
  }

  /** Returns the state that is left when the connection is over. */
  async left(): Promise<State | undefined> {
    const [state] = await leftStates([this.#ends])
    return state
  }
}

/** A relay between the two ends, which can hold back the data of the accepting one. */
export class Relay {
  readonly errors: (string | undefined)[] = []
  readonly #kept: Buffer[] = []
  #front: net.Socket | undefined
  #keeps = false

  /** Listens, and returns a port that leads to `port`. */
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
 * Connects, and waits until both sides are complete. With `allowHalfOpen` the peer does not end by itself.
 * A relay holds back the data that the peer sends after the client's TLS handshake.
 */
export async function connected(
  transport: Transport = 'tcp',
  options: net.ServerOpts = {},
  relay?: Relay,
): Promise<Pair> {
  const isTls = transport !== 'tcp'
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
  const trusted = { ca: certificate?.cert, servername: 'localhost' }
  const to = { port, host: '127.0.0.1' }
  const client =
    transport === 'tls'
      ? tls.connect({ ...to, ...trusted })
      : transport === 'tcp'
        ? net.connect(to)
        : tls.connect({ socket: await open(to), ...trusted })
  closeLater(() => client.destroy())
  client.once('secureConnect', () => relay?.keep())
  await once(client, isTls ? 'secureConnect' : 'connect')
  const [peer] = (await accepted) as [net.Socket]
  closeLater(() => peer.destroy())
  const [below] = (await carrier) as [net.Socket]
  return new Pair(client, peer, below)
}

async function open(to: net.TcpNetConnectOpts): Promise<net.Socket> {
  const socket = net.connect(to)
  closeLater(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}
