/** One object of each kind that this library accepts as a target, connected or listening on loopback. */
import * as dgram from 'node:dgram'
import { once } from 'node:events'
import * as http from 'node:http'
import * as http2 from 'node:http2'
import * as https from 'node:https'
import { mkdtempSync, rmSync } from 'node:fs'
import * as net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tls from 'node:tls'
import type { Target } from '../../lib'
import {
  closeLater,
  connectedPair,
  destroyLater,
  listen,
  listeningSocket,
  loopback,
  tcpSocket,
} from '../sockets'

/** TLS with a pre-shared key needs no certificate, which would expire. */
const psk = Buffer.alloc(16, 7)
const serverTls = { ciphers: 'PSK', pskCallback: (): Buffer => psk }
const clientTls = {
  ciphers: 'PSK',
  pskCallback: (): { psk: Buffer; identity: string } => ({ psk, identity: 'test' }),
  checkServerIdentity: (): undefined => undefined,
}

interface Ends {
  client: net.Socket
  accepted: net.Socket
}

async function tlsPair(): Promise<Ends> {
  const server = tls.createServer(serverTls)
  const port = await listen(server)
  const connection = once(server, 'secureConnection') as Promise<[tls.TLSSocket]>
  const client = tls.connect({ ...clientTls, port, host: loopback[4] })
  destroyLater(client)
  await once(client, 'secureConnect')
  const [accepted] = await connection
  destroyLater(accepted)
  return { client, accepted }
}

/** Makes a TLS client over a connected socket. */
async function tlsOver(): Promise<tls.TLSSocket> {
  const server = tls.createServer(serverTls)
  const port = await listen(server)
  const socket = net.connect(port, loopback[4])
  destroyLater(socket)
  const client = tls.connect({ ...clientTls, socket })
  destroyLater(client)
  await once(client, 'secureConnect')
  return client
}

async function http2Pair(
  secure: boolean,
): Promise<{ client: http2.ClientHttp2Session; accepted: http2.Http2Session }> {
  const server = secure ? http2.createSecureServer(serverTls) : http2.createServer()
  const port = await listen(server)
  const session = once(server, 'session') as Promise<[http2.ServerHttp2Session]>
  const client = secure
    ? http2.connect(`https://localhost:${String(port)}`, {
        ...clientTls,
        host: loopback[4],
      } as http2.SecureClientSessionOptions)
    : http2.connect(`http://127.0.0.1:${String(port)}`)
  closeLater(() => {
    client.destroy()
  })
  const [[accepted]] = await Promise.all([session, once(client, 'connect')])
  closeLater(() => {
    accepted.destroy()
  })
  return { client, accepted }
}

/** Makes both ends of an HTTP request that has no complete response yet. */
async function httpPair(): Promise<{ request: net.Socket; response: net.Socket }> {
  const server = http.createServer()
  const port = await listen(server)
  const arrived = once(server, 'request') as Promise<[http.IncomingMessage]>
  const request = http.get({ port, host: loopback[4], agent: false })
  request.on('error', () => undefined)
  const [socket] = (await once(request, 'socket')) as [net.Socket]
  destroyLater(socket)
  const [{ socket: response }] = await arrived
  destroyLater(response)
  return { request: socket, response }
}

export async function boundDatagramSocket(type: dgram.SocketType = 'udp4'): Promise<dgram.Socket> {
  const socket = dgram.createSocket(type)
  closeLater(() => {
    socket.close()
  })
  socket.bind(0, type === 'udp4' ? loopback[4] : loopback[6])
  await once(socket, 'listening')
  return socket
}

/** Returns an unused path for a unix-domain socket. */
export function socketPath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'socket-tuner-'))
  closeLater(() => {
    rmSync(folder, { recursive: true })
  })
  return join(folder, 'socket')
}

/** Makes a connection over a unix-domain socket whose accepted end is paused. */
export async function unixPair(): Promise<Ends & { server: net.Server }> {
  const server = net.createServer({ pauseOnConnect: true })
  const path = socketPath()
  closeLater(() => {
    server.close()
  })
  server.listen(path)
  await once(server, 'listening')
  const connection = once(server, 'connection') as Promise<[net.Socket]>
  const client = net.connect(path)
  destroyLater(client)
  const [[accepted]] = await Promise.all([connection, once(client, 'connect')])
  destroyLater(accepted)
  return { server, client, accepted }
}

async function listening<S extends net.Server>(server: S, host?: string): Promise<S> {
  await listen(server, host)
  return server
}

/** Every kind of target on TCP. */
export const tcpTargets: readonly [what: string, make: () => Target | Promise<Target>][] = [
  ['a descriptor number', () => tcpSocket()],
  ['the number of a listening descriptor', () => listeningSocket(6)],
  ['an object with a descriptor', () => ({ fd: tcpSocket() })],
  ['a net.Socket', async () => (await connectedPair()).client],
  ['a net.Socket that was accepted', async () => (await connectedPair()).accepted],
  ['a net.Socket on IPv6', async () => (await connectedPair(loopback[6])).client],
  ['a net.Server', () => listening(net.createServer())],
  ['a net.Server on IPv6', () => listening(net.createServer(), loopback[6])],
  ['an http.Server', () => listening(http.createServer())],
  ['an https.Server', () => listening(https.createServer(serverTls))],
  ['a tls.Server', () => listening(tls.createServer(serverTls))],
  ['an http2 server', () => listening(http2.createServer())],
  ['a secure http2 server', () => listening(http2.createSecureServer(serverTls))],
  ['the socket of an HTTP request', async () => (await httpPair()).request],
  ['the socket of an HTTP response', async () => (await httpPair()).response],
  ["a tls.TLSSocket, the client's", async () => (await tlsPair()).client],
  ["a tls.TLSSocket, the server's", async () => (await tlsPair()).accepted],
  ['a tls.TLSSocket over a net.Socket', tlsOver],
  ["an HTTP/2 session, the client's", async () => (await http2Pair(false)).client],
  ["an HTTP/2 session, the server's", async () => (await http2Pair(false)).accepted],
  ["an HTTP/2 session over TLS, the client's", async () => (await http2Pair(true)).client],
  ["an HTTP/2 session over TLS, the server's", async () => (await http2Pair(true)).accepted],
]
