/** An HTTP/1.1 server, plain or TLS, that handles each request by a script of the test. */
import { once } from 'node:events'
import * as net from 'node:net'
import * as tls from 'node:tls'
import type { Certificate } from './certificate'

/** A received request. */
export interface Asked {
  method: string
  path: string
  head: string
  body: string
  /** The number of its connection, and its own number on that connection, both from 1. */
  connection: number
  nth: number
}

export type Script = (socket: net.Socket, asked: Asked) => void

/** Sends an answer without closing. */
export function answer(socket: net.Socket, body = 'answer', headers = ''): void {
  const length = `Content-Length: ${String(Buffer.byteLength(body))}\r\n`
  socket.write(`HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n${headers}${length}\r\n${body}`)
}

/** The ways in which a server ends a connection instead of answering. */
export const failures = {
  'a FIN': (socket: net.Socket) => socket.end(),
  'a RST': (socket: net.Socket) => socket.resetAndDestroy(),
} as const

/** Answers the first request of each connection, and ends the connection at the second. */
export function firstOnly(fail: (socket: net.Socket) => unknown = failures['a RST']): Script {
  return (socket, { nth }) => {
    if (nth === 1) answer(socket)
    else fail(socket)
  }
}

export class ScriptedServer {
  port = 0
  readonly asked: Asked[] = []
  /** All accepted sockets. A TLS socket may be missing until its first request arrives. */
  readonly sockets: net.Socket[] = []
  script: Script
  readonly #server: net.Server

  constructor(script: Script, certificate?: Certificate) {
    this.script = script
    const accept = (socket: net.Socket): void => {
      this.#accept(socket)
    }
    this.#server =
      certificate === undefined ? net.createServer(accept) : tls.createServer(certificate, accept)
  }

  async listen(where: net.ListenOptions = { host: '127.0.0.1', port: 0 }): Promise<this> {
    this.#server.listen(where)
    await once(this.#server, 'listening')
    const address = this.#server.address()
    if (typeof address === 'object' && address !== null) this.port = address.port
    return this
  }

  /** Also closes open connections. */
  close(): void {
    this.#server.close()
    for (const socket of this.sockets) socket.destroy()
  }

  get open(): number {
    return this.sockets.filter(({ destroyed }) => !destroyed).length
  }

  #accept(socket: net.Socket): void {
    const connection = this.sockets.push(socket)
    let nth = 0
    let input = ''
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Buffer) => {
      input += chunk.toString('latin1')
      // A client may have pipelined several requests.
      for (let read; (read = parse(input)) !== undefined; input = input.slice(read.length)) {
        const asked = { ...read.request, connection, nth: ++nth }
        this.asked.push(asked)
        this.script(socket, asked)
      }
    })
  }
}

interface Read {
  request: Pick<Asked, 'method' | 'path' | 'head' | 'body'>
  /** Of the input. */
  length: number
}

/** Returns undefined until the request is complete; with `Expect`, its head is sufficient. */
function parse(input: string): Read | undefined {
  const end = input.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const head = input.slice(0, end)
  const rest = input.slice(end + 4)
  const [, length = '0'] = /^content-length: (\d+)/im.exec(head) ?? []
  const isChunked = /^transfer-encoding: chunked/im.test(head)
  const isWhole = isChunked ? rest.endsWith('0\r\n\r\n') : rest.length >= Number(length)
  if (!isWhole && !/^expect:/im.test(head)) return undefined
  const [method = '', path = ''] = head.split(' ')
  const content = isChunked ? rest : rest.slice(0, Number(length))
  const body = isChunked ? joined(rest) : content
  return { request: { method, path, head, body }, length: end + 4 + content.length }
}

/** The content of a chunked body (RFC 9112 section 7.1). */
function joined(chunks: string): string {
  const [, size = '0'] = /^([0-9a-f]+)\r\n/i.exec(chunks) ?? []
  const length = parseInt(size, 16)
  if (length === 0) return ''
  const start = size.length + 2
  return chunks.slice(start, start + length) + joined(chunks.slice(start + length + 2))
}
