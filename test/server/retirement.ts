/** Servers and clients for the tests of connection limits and shutdown. */
import { once } from 'node:events'
import * as http from 'node:http'
import * as http2 from 'node:http2'
import * as https from 'node:https'
import * as net from 'node:net'
import * as tls from 'node:tls'
import { text } from 'node:stream/consumers'
import { makeCertificate } from '../helpers/certificate'
import { until } from '../helpers/until'
import { closeLater, destroyLater, loopback } from '../sockets'

export const host = loopback[4]
export const certificate = makeCertificate()
export const REQUEST = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'

/** The time for which servers keep idle connections: longer than any test. */
export const KEPT_MS = 3_600_000

export type Scheme = 'http' | 'https'

/** Makes an http or https server. */
export function serverOf(scheme: Scheme, serve: http.RequestListener): http.Server {
  const server =
    scheme === 'https' ? https.createServer(certificate, serve) : http.createServer(serve)
  server.keepAliveTimeout = KEPT_MS
  closeLater(() => {
    server.close()
    server.closeAllConnections()
  })
  return server
}

/** Makes an agent that keeps one connection. */
export function agentOf(scheme: Scheme): http.Agent {
  const options = { keepAlive: true, maxSockets: 1 }
  const agent =
    scheme === 'https'
      ? new https.Agent({ ...options, ca: certificate.cert, servername: 'localhost' })
      : new http.Agent(options)
  closeLater(() => {
    agent.destroy()
  })
  return agent
}

export interface Answer {
  body: string
  connection: string | undefined
  keepAlive: string | undefined
  /** The client's port, which identifies the connection. */
  port: number
}

/** Sends a request through the agent. Rejects if anything fails. */
export async function ask(
  scheme: Scheme,
  port: number,
  agent: http.Agent | false,
  options: http.RequestOptions = {},
): Promise<Answer> {
  const to = { host, port, agent, ...options }
  const request =
    scheme === 'https'
      ? https.request({ ca: certificate.cert, servername: 'localhost', ...to })
      : http.request(to)
  request.end()
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  const clientPort = response.socket.localPort ?? 0
  const { connection } = response.headers
  const keepAlive = response.headers['keep-alive']?.toString()
  return { body: await text(response), connection, keepAlive, port: clientPort }
}

/** Makes a connection on which nothing is sent unless the test does. */
export async function connected(port: number, scheme: Scheme = 'http'): Promise<net.Socket> {
  const secure = { ca: certificate.cert, servername: 'localhost' }
  const socket =
    scheme === 'https' ? tls.connect({ host, port, ...secure }) : net.connect(port, host)
  destroyLater(socket)
  await once(socket, scheme === 'https' ? 'secureConnect' : 'connect')
  return socket
}

/** Resolves with the next response on such a connection, or undefined if the server has closed it. */
export async function nextAnswer(socket: net.Socket): Promise<string | undefined> {
  let text = ''
  const part = (data: Buffer): void => {
    text += data.toString('latin1')
  }
  socket.on('data', part)
  socket.write(REQUEST)
  await until(
    'the answer is there',
    () => text.endsWith('answer') || socket.closed,
    (is) => is,
  )
  socket.off('data', part)
  return text === '' ? undefined : text
}

/** Makes a connected HTTP/2 session. */
export async function sessionTo(port: number, isSecure = false): Promise<http2.ClientHttp2Session> {
  const url = `${isSecure ? 'https' : 'http'}://localhost:${String(port)}`
  const secure = { ca: certificate.cert, servername: 'localhost', ALPNProtocols: ['h2'] }
  const createConnection = (): net.Socket =>
    isSecure ? tls.connect({ host, port, ...secure }) : net.connect(port, host)
  const session = http2.connect(url, { createConnection })
  closeLater(() => {
    session.destroy()
  })
  session.on('error', () => undefined)
  await once(session, 'connect')
  return session
}

/** Resolves with the body of the response to one request. Rejects if anything fails. */
export function askBySession(session: http2.ClientHttp2Session): Promise<string> {
  return text(session.request({ ':path': '/' }))
}
