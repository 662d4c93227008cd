/** answerEarly() without a connection: injected requests, and clients that have disconnected. */
import * as shot from '@hapi/shot'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import * as http from 'node:http'
import * as http2 from 'node:http2'
import * as net from 'node:net'
import * as path from 'node:path'
import { Duplex } from 'node:stream'
import { promisify } from 'node:util'
import { answerEarly, listen, tcpInfo, type EarlyAnswerReport } from '../../lib'
import { policyOf } from '../../lib/close/hooks'
import { closeLater, destroyLater, failureOf, loopback } from '../sockets'

const host = loopback[4]
const answer = { status: 413, body: 'too large', headers: { 'x-limit': '10' } }
const upload = 'x'.repeat(1_000)
const none = { end: 'none', unreadBytes: 0 }
const gone = { ...none, fallback: { code: 'destroyed' } }

/** The part of an Express application that these tests use. */
type Express = http.RequestListener & { put(url: string, handler: http.RequestListener): void }

/** Starts an http server. It is closed with its connections after the test. */
async function serve(handler: http.RequestListener): Promise<number> {
  const server = http.createServer(handler)
  closeLater(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = await listen(server, { host })
  return port
}

describe('answerEarly() to an injected request', () => {
  it('resolves under fastify.inject()', async () => {
    // This runs outside of Jest because light-my-request requires an ES module.
    const program = `
      const { answerEarly } = require(${JSON.stringify(path.join(__dirname, '../../dist'))})
      const app = require('fastify')()
      let report
      app.post('/', (request, reply) => {
        reply.hijack()
        report = answerEarly(request.raw, reply.raw, ${JSON.stringify(answer)})
      })
      const headers = { 'content-type': 'text/plain' }
      const payload = ${JSON.stringify(upload)}
      app.inject({ method: 'POST', url: '/', payload, headers }).then(async (response) => {
        const { statusCode, payload, headers } = response
        console.log(JSON.stringify({ statusCode, payload, headers, report: await report }))
      })`
    const directory = path.join(__dirname, '../..')
    const { stdout } = await promisify(execFile)(process.execPath, ['-e', program], {
      cwd: directory,
    })
    expect(JSON.parse(stdout)).toMatchObject({
      statusCode: 413,
      payload: 'too large',
      headers: { 'x-limit': '10', 'content-length': '9' },
      report: none,
    })
  })

  it("resolves under @hapi/shot, whose response has no reference to its request, as in hapi's inject()", async () => {
    let report: Promise<EarlyAnswerReport> | undefined
    const response = await shot.inject(
      (request, reply) => {
        report = answerEarly(request as never, reply, answer)
      },
      { method: 'POST', url: '/', payload: upload },
    )
    expect(response).toMatchObject({ statusCode: 413, payload: 'too large' })
    expect(await report).toEqual(none)
  })

  it('resolves if the injected client disconnects first', async () => {
    let report: Promise<EarlyAnswerReport> | undefined
    await shot.inject(
      (request, reply) => {
        reply.destroy()
        report = answerEarly(request as never, reply, answer)
      },
      { method: 'POST', url: '/', payload: upload },
    )
    expect(await report).toEqual(none)
  })

  it('resolves if the http server has a stream instead of a socket', async () => {
    const server = http.createServer()
    const [here, there] = streamPair()
    server.emit('connection', there)
    here.write('PUT / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nx')
    const [request, response] = (await once(server, 'request')) as [
      http.IncomingMessage,
      http.ServerResponse,
    ]
    const report = answerEarly(request, response, answer)
    const ended = once(here, 'end')
    here.setEncoding('latin1')
    const [text] = (await once(here, 'data')) as [string]
    expect(text).toMatch(/^HTTP\/1.1 413 /)
    expect(await report).toEqual(none)
    // Node closes it.
    await ended
  })
})

describe('answerEarly() behind Express', () => {
  it('answers and lingers', async () => {
    let report: Promise<EarlyAnswerReport> | undefined
    const express = jest.requireActual<() => Express>('express')
    const app = express()
    app.put('/', (request, response) => {
      report = answerEarly(request, response, answer)
    })
    const port = await serve(app)
    const request = http.request({
      host,
      port,
      method: 'PUT',
      headers: { 'content-length': 1_000 },
    })
    request.on('error', () => undefined).write('x')
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    expect(response.resume().statusCode).toBe(413)
    await once(response, 'end')
    request.end('x'.repeat(999))
    expect(await report).toMatchObject({ end: 'lingering' })
  })
})

describe('answerEarly() to a client that has disconnected', () => {
  const head = 'PUT / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nx'

  async function abandoned(
    text: string,
    handler: (request: http.IncomingMessage, response: http.ServerResponse) => unknown,
  ): Promise<void> {
    const port = await serve((request, response) => void handler(request, response))
    const client = net.connect(port, host)
    destroyLater(client)
    client.write(text)
  }

  it.each([
    ['its body', head],
    ['nothing more', 'GET / HTTP/1.1\r\nhost: x\r\n\r\n'],
  ])('resolves if the socket is already destroyed, with %s outstanding', async (_, text) => {
    const report = await new Promise<EarlyAnswerReport>((resolve, reject) => {
      void abandoned(text, (request, response) => {
        request.socket.destroy()
        answerEarly(request, response, answer).then(resolve, reject)
      })
    })
    expect(report).toMatchObject(gone)
  })

  it('resolves if the socket is destroyed while the answer is being sent', async () => {
    const report = await new Promise<EarlyAnswerReport>((resolve, reject) => {
      void abandoned(head, (request, response) => {
        answerEarly(request, response, { ...answer, idleMs: 10 }).then(resolve, reject)
        request.socket.destroy()
      })
    })
    expect(report.end).toBe('lingering')
  })

  it.each([
    ['end()', (socket: net.Socket) => socket.end()],
    [
      'destroySoon()',
      (socket: net.Socket) => {
        socket.destroySoon()
      },
    ],
  ])('reports that nothing was sent if the socket was closed by %s before', async (_, end) => {
    const report = await new Promise<EarlyAnswerReport>((resolve, reject) => {
      void abandoned(head, (request, response) => {
        end(request.socket)
        answerEarly(request, response, answer).then(resolve, reject)
      })
    })
    expect(report).toMatchObject(gone)
  })

  it.each([
    ['with its body to come', head],
    ['that is complete', 'GET / HTTP/1.1\r\nhost: x\r\n\r\n'],
  ])(
    "reports that nothing was sent if the client's RST has arrived before, for a request %s",
    async (_, text) => {
      const reports: Promise<EarlyAnswerReport>[] = []
      const port = await serve((request, response) => {
        client.resetAndDestroy()
        // Wait without a turn of the event loop, so that Node does not notice.
        while (tcpInfo(request.socket).state !== 'CLOSE');
        reports.push(answerEarly(request, response, answer))
        told()
      })
      let told: () => void = () => undefined
      const answered = new Promise<void>((resolve) => (told = resolve))
      const client = net.connect(port, host)
      destroyLater(client)
      client.write(text)
      await answered
      expect(await Promise.all(reports)).toMatchObject([gone])
    },
  )

  it('resolves if the client has reset the connection', async () => {
    const port = await serve((request, response) => {
      client.resetAndDestroy()
      request.once('close', () => {
        reports.push(answerEarly(request, response, answer))
        told()
      })
    })
    const reports: Promise<EarlyAnswerReport>[] = []
    let told: () => void = () => undefined
    const answered = new Promise<void>((resolve) => (told = resolve))
    const client = net.connect(port, host)
    destroyLater(client)
    client.write(head)
    await answered
    expect(await Promise.all(reports)).toMatchObject([gone])
  })

  it('resolves for each of two pipelined requests, the first of which is never answered', async () => {
    const reports: Promise<EarlyAnswerReport>[] = []
    const get = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n'
    await new Promise<void>((resolve) => {
      let requests = 0
      void abandoned(get + get, (request, response) => {
        if (++requests === 1) return
        reports.push(answerEarly(request, response, answer))
        request.socket.destroy()
        resolve()
      })
    })
    expect(await Promise.all(reports)).toMatchObject([gone])
  })

  it('refuses a response that has already been sent', async () => {
    const error = await new Promise<unknown>((resolve) => {
      void abandoned(head, (request, response) => {
        response.end('sent')
        resolve(failureOf(() => answerEarly(request, response, answer)).code)
      })
    })
    expect(error).toBe('ERR_HTTP_HEADERS_SENT')
  })
})

describe('answerEarly() to requests of one connection', () => {
  it('keeps the connection of a request without a body, even before Node knows that it is complete', async () => {
    const reports: Promise<EarlyAnswerReport>[] = []
    const port = await serve((request, response) => {
      expect(request.complete).toBe(false)
      reports.push(answerEarly(request, response, { status: 401 }))
    })
    const client = net.connect(port, host)
    destroyLater(client)
    const get = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n'
    client.setEncoding('latin1').write(get + get)
    let text = ''
    for await (const chunk of client.iterator({ destroyOnReturn: false })) {
      text += chunk as string
      if (text.split('HTTP/1.1 401').length === 3) break
    }
    expect(text).not.toContain('Connection: close')
    expect(await Promise.all(reports)).toEqual(Array(2).fill({ end: 'kept', unreadBytes: 0 }))
  })

  it('lingers after a pipelined request that is answered later', async () => {
    let first: http.ServerResponse | undefined
    let report: Promise<EarlyAnswerReport> | undefined
    const port = await serve((request, response) => {
      if (request.method === 'GET') {
        first = response
        return
      }
      report = answerEarly(request, response, { ...answer, idleMs: 60_000 })
      first?.end('first')
    })
    const client = net.connect({ host, port, allowHalfOpen: true })
    destroyLater(client)
    client.write(
      'GET / HTTP/1.1\r\nhost: x\r\n\r\nPUT / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nx',
    )
    let text = ''
    client.setEncoding('latin1').on('data', (chunk: string) => (text += chunk))
    await once(client, 'end')
    expect(text.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 413'])
    client.end('12345678')
    expect(await report).toMatchObject({ end: 'lingering' })
  })
})

describe('answerEarly() over HTTP/2', () => {
  async function session(
    handler: (request: http2.Http2ServerRequest, response: http2.Http2ServerResponse) => void,
  ): Promise<http2.ClientHttp2Session> {
    const server = http2.createServer(handler)
    closeLater(() => server.close())
    const { port } = await listen(server, { host })
    const client = http2.connect(`http://${host}:${String(port)}`)
    closeLater(() => {
      client.destroy()
    })
    return client
  }

  it.each(['before', 'after'])(
    'resolves if the stream is destroyed %s the answer',
    async (when) => {
      const report = await new Promise<EarlyAnswerReport>((resolve, reject) => {
        void session((request, response) => {
          if (when === 'before') request.stream.destroy()
          answerEarly(request, response, answer).then(resolve, reject)
          if (when === 'after') request.stream.destroy()
        }).then((client) => {
          client.request({ ':method': 'PUT' }, { endStream: false }).on('error', () => undefined)
        })
      })
      const fallback = { code: when === 'before' ? 'destroyed' : 'peer-error' }
      expect(report).toMatchObject({ end: when === 'before' ? 'none' : 'stream', fallback })
    },
  )

  it('resolves if the client has reset the stream', async () => {
    const report = await new Promise<EarlyAnswerReport>((resolve, reject) => {
      void session((request, response) => {
        stream?.close(http2.constants.NGHTTP2_CANCEL)
        request.once('close', () => {
          answerEarly(request, response, answer).then(resolve, reject)
        })
      }).then((client) => {
        stream = client.request({ ':method': 'PUT' }, { endStream: false })
      })
      let stream: http2.ClientHttp2Stream | undefined
    })
    expect(report).toMatchObject(gone)
  })

  it('answers a HEAD request', async () => {
    let report: Promise<EarlyAnswerReport> | undefined
    const client = await session((request, response) => {
      report = answerEarly(request, response, answer)
    })
    const stream = client.request({ ':method': 'HEAD' })
    const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders]
    expect(headers).toMatchObject({ ':status': 413, 'content-length': '9' })
    expect(await report).toEqual({ end: 'stream', unreadBytes: 0 })
  })
})

it('answerEarly() sets no close mode on a connection that it keeps', async () => {
  let socket: net.Socket | undefined
  const port = await serve((request, response) => {
    ;({ socket } = request)
    void answerEarly(request, response, { status: 401 })
  })
  const [response] = (await once(http.get({ host, port }), 'response')) as [http.IncomingMessage]
  response.resume()
  expect(socket && policyOf(socket)).toBeUndefined()
})

/** Makes two streams, each of which reads what is written to the other. */
function streamPair(): [Duplex, Duplex] {
  const make = (other: () => Duplex): Duplex =>
    new Duplex({
      read: () => undefined,
      write: (chunk, _, done) => {
        other().push(chunk)
        done()
      },
      final: (done) => {
        other().push(null)
        done()
      },
    })
  const here: Duplex = make(() => there)
  const there: Duplex = make(() => here)
  return [here, there]
}
