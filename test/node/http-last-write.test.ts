/** Contract tests: the assumptions of lib/node/http-last-write.ts about Node's responses, on this release of Node. */
import { once } from 'node:events'
import * as http from 'node:http'
import * as https from 'node:https'
import * as net from 'node:net'
import * as tls from 'node:tls'
import { beforeLastWrites } from '../../lib/node/http-last-write'
import { makeCertificate } from '../helpers/certificate'
import { coded } from '../helpers/coded'
import { closeLater, destroyLater, listen } from '../sockets'

const certificate = makeCertificate()

const servers = {
  http: (serve: http.RequestListener) => http.createServer(serve),
  https: (serve: http.RequestListener) => https.createServer(certificate, serve),
}
type Kind = keyof typeof servers

/** The holds of a response, in order, and the bytes that had been written at each of them. */
interface Seen {
  readonly holds: string[]
  readonly answer: string
}

const KEEPS = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
const CLOSES = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'

async function seen(kind: Kind, request: string, serve: http.RequestListener): Promise<Seen> {
  let finished: Promise<unknown> = Promise.resolve()
  const server = servers[kind]((request, response) => {
    finished = once(response, 'finish')
    serve(request, response)
  })
  closeLater(() => server.close())
  const holds: string[] = []
  beforeLastWrites(server, (socket, on) => {
    holds.push(`${on ? 'hold' : 'release'} at ${socket.bytesWritten > 0 ? 'later' : 'first'}`)
  })
  const port = await listen(server)
  const client =
    kind === 'https'
      ? tls.connect({ port, host: '127.0.0.1', ca: certificate.cert, servername: 'localhost' })
      : net.connect(port, '127.0.0.1')
  destroyLater(client)
  client.write(request)
  let answer = ''
  for await (const chunk of client) {
    answer += String(chunk)
    if (answer.endsWith('bye')) break
  }
  await finished
  return { holds, answer }
}

const AT_ONCE = ['hold at first']
const LATER = ['hold at later']

describe.each<Kind>(['http', 'https'])('the last write of a response over %s', (kind) => {
  it.each<[string, string, http.RequestListener, string[]]>([
    ['end(body) after the client requested the close', CLOSES, (_, r) => r.end('bye'), AT_ONCE],
    ['end(body) for an HTTP/1.0 client', 'GET / HTTP/1.0\r\n\r\n', (_, r) => r.end('bye'), AT_ONCE],
    [
      'end(body) after setHeader of Connection: close',
      KEEPS,
      (_, r) => r.setHeader('Connection', 'close').end('bye'),
      AT_ONCE,
    ],
    [
      'end(body) after writeHead with Connection: close',
      KEEPS,
      (_, r) => r.writeHead(200, { Connection: 'close' }).end('bye'),
      AT_ONCE,
    ],
    [
      'end() of a chunked body',
      CLOSES,
      (_, r) => {
        r.write('bye', () => r.end())
      },
      LATER,
    ],
    [
      'the write() that completes a body of known length, and then the end()',
      CLOSES,
      (_, r) => {
        r.writeHead(200, { 'Content-Length': 6 })
        r.write('by ', () => r.write('bye', () => r.end()))
      },
      [...LATER, ...LATER],
    ],
    [
      'the only write() of a body of known length, and then the end()',
      CLOSES,
      (_, r) => {
        r.setHeader('Content-Length', 3)
        r.write('bye', () => r.end())
      },
      [...AT_ONCE, ...LATER],
    ],
    ['end() without a body', CLOSES, (_, r) => r.setHeader('a', 'bye').end(), AT_ONCE],
  ])('is held if it is %s', async (_, request, serve, expected) => {
    const { holds } = await seen(kind, request, serve)
    expect(holds).toEqual(expected)
  })

  it.each<[string, http.RequestListener]>([
    ['end(body)', (_, r) => r.end('bye')],
    ['writes and an end()', (_, r) => r.write('b', () => r.end('ye'))],
    ['a body of known length', (_, r) => r.writeHead(200, { 'Content-Length': 3 }).end('bye')],
  ])('is not held if the connection is kept: %s', async (_, serve) => {
    const { holds } = await seen(kind, KEEPS, (request, response) => {
      serve(request, response)
      // The client does not parse the chunked body, so this marks its end.
      response.once('finish', () => request.socket.end('bye'))
    })
    expect(holds).toEqual([])
  })
})

describe('beforeLastWrites', () => {
  it('releases a held write if the header finally keeps the connection', async () => {
    const { holds } = await seen('http', CLOSES, (request, response) => {
      response.setHeader('Connection', 'keep-alive')
      response.once('finish', () => request.socket.end('bye'))
      response.end('ok')
    })
    expect(holds).toEqual(['hold at first', expect.stringContaining('release')])
  })

  it('holds nothing if maxRequestsPerSocket is reached, because then the client closes', async () => {
    const holds: boolean[] = []
    const server = http.createServer((request, response) => {
      response.once('finish', () => request.socket.end('bye'))
      response.end('bye')
    })
    server.maxRequestsPerSocket = 1
    closeLater(() => server.close())
    beforeLastWrites(server, (_, on) => holds.push(on))
    const client = net.connect(await listen(server), '127.0.0.1')
    destroyLater(client)
    client.resume().write(KEEPS)
    await once(client, 'end')
    expect(holds).toEqual([])
  })

  it('calls the methods that the class of the response has at that time', async () => {
    const calls: string[] = []
    const { answer } = await seen('http', CLOSES, (_, response) => {
      // Express does this.
      Object.setPrototypeOf(response, {
        __proto__: http.ServerResponse.prototype,
        end(this: http.ServerResponse, body: string) {
          calls.push(body)
          return http.ServerResponse.prototype.end.call(this, body, 'utf8')
        },
      })
      response.end('bye')
    })
    expect(calls).toEqual(['bye'])
    expect(answer).toMatch(/bye$/)
  })

  it('passes on an error of the method, and continues to work', async () => {
    const { holds, answer } = await seen('http', CLOSES, (_, response) => {
      expect(() => response.write(5)).toThrow(coded('ERR_INVALID_ARG_TYPE'))
      response.end('bye')
    })
    expect(holds.length).toBeGreaterThan(0)
    expect(answer).toMatch(/bye$/)
  })

  it('holds nothing after it was stopped', async () => {
    const holds: boolean[] = []
    const server = http.createServer((_, response) => response.end('bye'))
    closeLater(() => server.close())
    const stop = beforeLastWrites(server, (_, on) => holds.push(on))
    stop()
    const client = net.connect(await listen(server), '127.0.0.1')
    destroyLater(client)
    client.resume().write(CLOSES)
    await once(client, 'end')
    expect(holds).toEqual([])
  })
})
