import { once } from 'node:events'
import * as http from 'node:http'
import * as https from 'node:https'
import type * as net from 'node:net'
import { TunedAgent, TunedHttpsAgent } from '../../lib/clients/http'
import { makeCertificate } from '../helpers/certificate'
import { coded } from '../helpers/coded'
import { answer, type ScriptedServer } from '../helpers/scripted-server'
import { until } from '../helpers/until'
import { ask, held, nothing, serve, use } from './asking'
import { answerAndClose, serveUploads, type End } from './early-answers'

const certificate = makeCertificate()

const protocols = {
  http: { http, agent: () => new TunedAgent(), certificate: undefined },
  https: { http: https, agent: () => new TunedHttpsAgent({ ca: certificate.cert }), certificate },
} as const

/** The observations of the caller of an upload. */
interface Upload {
  request: http.ClientRequest
  /** The events of the request and of its response, in order. */
  events: string[]
  /** The part of the response body that has arrived. */
  body: () => string
  /** Whether the request and its response, if any, are over. */
  isOver: () => boolean
  /** The outcomes of writes after the server has closed. */
  written: (Error | null | undefined)[]
}

/** Records the events of an upload. */
function follow(request: http.ClientRequest): Upload {
  const events: string[] = []
  let body = ''
  let open = 1
  for (const event of ['finish', 'close']) request.on(event, () => events.push(event))
  request.on('close', () => open--)
  request.on('error', ({ code }: NodeJS.ErrnoException) => events.push(`error ${String(code)}`))
  request.on('response', (response) => {
    events.push(`response ${String(response.statusCode)}`)
    open++
    response.on('close', () => open--)
    response.on('data', (chunk: Buffer) => {
      body += chunk.toString('latin1')
      response.pause()
      setImmediate(() => response.resume())
    })
    response.on('end', () => events.push('end'))
    response.on('error', ({ code }: NodeJS.ErrnoException) => {
      events.push(`response error ${String(code)}`)
    })
  })
  return { request, events, body: () => body, isOver: () => open === 0, written: [] }
}

/** Uploads until the server has answered and closed, and then writes once more. */
async function upload(
  protocol: keyof typeof protocols,
  text: string,
  end: End,
  agent: http.Agent = use(protocols[protocol].agent()),
): Promise<Upload> {
  const { http: client, certificate: own } = protocols[protocol]
  const { port, next } = await serveUploads(own)
  const headers = { 'content-length': 1_000_000 }
  const [host, servername] = ['127.0.0.1', 'localhost']
  const request = client.request({ host, port, method: 'PUT', agent, headers, servername })
  const followed = follow(request)
  request.write('some')
  const peer = await next()
  // Writes to the socket, since writes to the request are sent at the end of the tick.
  answerAndClose(peer, text, end, () => request.socket?.write('more'))
  request.write('too late', (error) => followed.written.push(error))
  await until('it is over', followed.isOver, Boolean)
  return followed
}

const head = 'HTTP/1.1 413 Payload Too Large\r\n'
const ends = ['a RST', 'a FIN and then a RST'] as const
const cases = (['http', 'https'] as const).flatMap((protocol) =>
  ends.map((end) => [protocol, end] as const),
)

describe.each(cases)('an upload over %s that is answered early, before %s', (protocol, end) => {
  it.each([
    [
      'with Connection: close',
      `${head}Connection: close\r\nContent-Length: 5\r\n\r\nlarge`,
      'large',
    ],
    ['without Connection: close', `${head}Content-Length: 5\r\n\r\nlarge`, 'large'],
    ['without a body', `${head}Content-Length: 0\r\n\r\n`, ''],
    ['in chunks', `${head}Transfer-Encoding: chunked\r\n\r\n5\r\nlarge\r\n0\r\n\r\n`, 'large'],
    [
      'after an interim answer',
      `HTTP/1.1 100 Continue\r\n\r\n${head}Content-Length: 5\r\n\r\nlarge`,
      'large',
    ],
  ])('receives the answer and no error (%s)', async (_form, text, body) => {
    const agent = use(protocols[protocol].agent())
    const done = await upload(protocol, text, end, agent)
    expect(done.events).toEqual(['response 413', 'end', 'close'])
    expect(done.body()).toBe(body)
    expect(done.written).toEqual([expect.objectContaining({ syscall: 'write' })])
    await until(
      'the connection is gone',
      () => held(agent),
      ({ total }) => total === 0,
    )
    expect(held(agent)).toEqual(nothing)
  })

  it('receives a long answer completely, however slowly it is read', async () => {
    const long = 'x'.repeat(60_000)
    const text = `${head}Content-Length: ${String(long.length)}\r\n\r\n${long}`
    const agent = use(protocols[protocol].agent())
    const done = await upload(protocol, text, end, agent)
    // The connection may close before the answer has been read.
    expect(done.events.toSorted()).toEqual(['close', 'end', 'response 413'])
    expect(done.body()).toBe(long)
  })

  it('fails if the answer is incomplete', async () => {
    const { events, body } = await upload(protocol, `${head}Content-Length: 50\r\n\r\nla`, end)
    expect(body()).toBe('la')
    expect(events).not.toContain('end')
    expect(events).toContain('response error ECONNRESET')
    expect(events.filter((event) => event.startsWith('error')).length).toBeLessThanOrEqual(1)
  })

  it('fails once if the head of the answer is incomplete', async () => {
    const { events } = await upload(protocol, head, end)
    expect(events).toEqual(['error ECONNRESET', 'close'])
  })

  it('fails once if there is no answer', async () => {
    const { events, written } = await upload(protocol, '', end)
    expect(events).toEqual([expect.stringMatching(/^error (?:ECONNRESET|EPIPE)$/), 'close'])
    expect(written).toHaveLength(1)
  })
})

describe('an answer that ends where its connection ends', () => {
  const text = `${head}Connection: close\r\n\r\nlarge`

  it('is complete if a FIN arrived before the RST', async () => {
    const { events, body } = await upload('http', text, 'a FIN and then a RST')
    expect(events).toEqual(['response 413', 'end', 'close'])
    expect(body()).toBe('large')
  })

  it("fails its request with Node's own error if a RST arrived", async () => {
    const { events } = await upload('http', text, 'a RST')
    expect(events).toContain('error ECONNRESET')
  })
})

describe('an early answer', () => {
  it.each(ends)('is lost with http.Agent before %s', async (end) => {
    const agent = use(new http.Agent({ keepAlive: true }))
    const text = `${head}Connection: close\r\nContent-Length: 5\r\n\r\nlarge`
    const { events } = await upload('http', text, end, agent)
    expect(events).toEqual([expect.stringMatching(/^error/), 'close'])
  })

  it('causes no error if it was read before the write fails', async () => {
    const { port, next } = await serveUploads()
    const agent = use(new TunedAgent())
    const headers = { 'content-length': 1_000_000 }
    const request = http.request({ host: '127.0.0.1', port, method: 'PUT', agent, headers })
    const done = follow(request)
    request.write('some')
    const peer = await next()
    peer.write(`${head}Content-Length: 5\r\n\r\nlarge`)
    await until(
      'it has been read',
      () => done.events,
      (events) => events.includes('end'),
    )
    answerAndClose(peer, '', 'a RST', () => undefined)
    request.write('too late')
    await until('it is over', done.isOver, Boolean)
    expect(done.events).toEqual(['response 413', 'end', 'close'])
  })

  it('is used on a reused connection too, and the request is not resent', async () => {
    const server: ScriptedServer = await serve((socket, { method }) => {
      if (method === 'GET') answer(socket)
    })
    const agent = use(new TunedAgent())
    await ask(server, agent)
    const [peer] = server.sockets
    if (peer === undefined) throw new Error('there is no connection')
    const headers = { 'content-length': 100 }
    const { port } = server
    const request = http.request({ host: '127.0.0.1', port, method: 'PUT', agent, headers })
    const done = follow(request)
    request.write('some')
    await once(peer, 'data')
    answerAndClose(peer, `${head}Content-Length: 5\r\n\r\nlarge`, 'a RST', () => undefined)
    request.write('too late')
    await until('it is over', done.isOver, Boolean)
    expect(done.events).toEqual(['response 413', 'end', 'close'])
    expect(agent.counters()).toMatchObject({ created: 1, reused: 1, retried: 0 })
  })

  it('leaves the error of a write to the owner of an upgraded connection', async () => {
    const server = await serve((socket) => {
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n',
      )
    })
    const agent = use(new TunedAgent())
    const headers = { connection: 'upgrade', upgrade: 'foo' }
    const request = http.get({ host: '127.0.0.1', port: server.port, agent, headers })
    const [, socket] = (await once(request, 'upgrade')) as [unknown, net.Socket]
    const [peer] = server.sockets
    if (peer === undefined) throw new Error('there is no connection')
    answerAndClose(peer, 'last words', 'a RST', () => undefined)
    const words: string[] = []
    socket.on('data', (chunk: Buffer) => words.push(String(chunk)))
    socket.write('too late')
    const [error] = (await once(socket, 'error')) as [Error]
    expect(error).toEqual(coded('ECONNRESET'))
    expect(words).toEqual(['last words'])
  })
})
