/** Wires that are sockets of Node. */
import { Buffer } from 'node:buffer'
import type * as net from 'node:net'
import type * as tls from 'node:tls'
import type { Connector } from '../connect/connector'
import { portWaitOf } from '../connect/port-wait'
import { carrierOf } from '../node/handle'
import { timeConnects } from '../node/tcp-prototype'
import { tcpInfo, type TcpInfo } from '../observe/tcp-info'
import type { Wire, WireUser, Wires } from './wire'

/** All sockets of a thread read into one buffer: what is read is used before the next read. */
const shared = Buffer.allocUnsafeSlow(65_536)

export class SocketWires implements Wires {
  readonly #connector: Connector
  readonly #endpoint: net.TcpNetConnectOpts
  readonly #tls: tls.ConnectionOptions | undefined
  readonly #stopTiming: (() => void) | undefined

  /**
   * @param tlsOptions undefined without TLS
   * @param timed called with the duration of each connect(2), ms
   */
  constructor(
    connector: Connector,
    endpoint: net.TcpNetConnectOpts,
    tlsOptions: tls.ConnectionOptions | undefined,
    timed: (connectMs: number) => void,
  ) {
    this.#connector = connector
    this.#endpoint = endpoint
    this.#tls = tlsOptions
    this.#stopTiming = timeConnects((ms, address, port) => {
      if (port === endpoint.port && address === endpoint.host) timed(ms)
    })
  }

  get areSecured(): boolean {
    return this.#tls !== undefined
  }

  open(user: WireUser): Wire {
    const connector = this.#connector
    const endpoint = this.#endpoint
    if (this.#tls !== undefined) {
      const socket = connector.connectTls({ ...this.#tls, ...endpoint })
      socket.on('secureConnect', () => {
        user.secured(performance.now(), socket.alpnProtocol)
      })
      socket.on('data', (chunk: Buffer) => {
        user.received(chunk, 0, chunk.length, performance.now())
      })
      return new SocketWire(socket, user)
    }
    const callback = (length: number, buffer: Uint8Array): boolean => {
      user.received(buffer as Buffer, 0, length, performance.now())
      return true
    }
    return new SocketWire(
      connector.connect({ ...endpoint, onread: { buffer: shared, callback } }),
      user,
    )
  }

  close(): void {
    this.#stopTiming?.()
  }
}

class SocketWire implements Wire {
  readonly #socket: net.Socket

  constructor(socket: net.Socket, user: WireUser) {
    this.#socket = socket
    socket.on('connect', () => {
      user.connected(performance.now(), portWaitOf(carrierOf(socket)))
    })
    socket.on('end', () => {
      user.ended(performance.now())
    })
    socket.on('error', (error) => {
      user.failed(error)
    })
    socket.on('close', () => {
      user.closed(performance.now())
    })
  }

  write(bytes: Buffer): void {
    this.#socket.write(bytes)
  }

  close(): void {
    this.#socket.destroy()
  }

  info(): TcpInfo {
    return tcpInfo(this.#socket)
  }
}
