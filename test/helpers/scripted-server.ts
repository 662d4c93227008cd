/** An HTTP/1.1 server, plain or TLS, that does with each request what its test says. */
import { once } from 'node:events'
import * as net from 'node:net'
import * as tls from 'node:tls'
import type { Certificate } from './certificate'

/** A request as it came in. */
export interface Asked {
  method: string
  path: string
  head: string
  body: string
  /** Its connection, and which of that connection's requests it is, both from 1. */
  connection: number
  nth: number
}

export type Script = (socket: net.Socket, asked: Asked) => void

/** Sends an answer without closing. */
export function answer(socket: net.Socket, body = 'answer', headers = ''): void {
  const length = `Content-Length: ${String(Buffer.byteLength(body))}\r\n`
  socket.write(`HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n${headers}${length}\r\n${body}`)
}

export class ScriptedServer {
  port = 0
  readonly asked: Asked[] = []
  /** All that were accepted; the last of TLS ones is complete when its first request is there. */
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

  /** Also closes what is open. */
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
      const request = parse(input)
      if (request === undefined) return
      input = ''
      const asked = { ...request, connection, nth: ++nth }
      this.asked.push(asked)
      this.script(socket, asked)
    })
  }
}

/** undefined until the request is there whole; with `Expect` its head is enough. */
function parse(input: string): Pick<Asked, 'method' | 'path' | 'head' | 'body'> | undefined {
  const end = input.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const head = input.slice(0, end)
  const rest = input.slice(end + 4)
  const [, length = '0'] = /^content-length: (\d+)/im.exec(head) ?? []
  const isChunked = /^transfer-encoding: chunked/im.test(head)
  const isWhole = isChunked ? rest.endsWith('0\r\n\r\n') : rest.length >= Number(length)
  if (!isWhole && !/^expect:/im.test(head)) return undefined
  const [method = '', path = ''] = head.split(' ')
  return { method, path, head, body: isChunked ? joined(rest) : rest }
}

/** The content of a chunked body (RFC 9112 section 7.1). */
function joined(chunks: string): string {
  const [, size = '0'] = /^([0-9a-f]+)\r\n/i.exec(chunks) ?? []
  const length = parseInt(size, 16)
  if (length === 0) return ''
  const start = size.length + 2
  return chunks.slice(start, start + length) + joined(chunks.slice(start + length + 2))
}
