import { once } from 'node:events'
import * as http from 'node:http'
import * as http2 from 'node:http2'
import * as net from 'node:net'
import * as tls from 'node:tls'
import { Pool } from 'undici'
import { listen as listenTuned, tuneServer } from '../../lib'
import { coded } from '../helpers/coded'
import { until } from '../helpers/until'
import { closeLater, failureOf, listen } from '../sockets'
import {
  agentOf,
  ask,
  askBySession,
  certificate,
  connected,
  host,
  nextAnswer,
  REQUEST,
  serverOf,
  sessionTo,
  type Answer,
  type Scheme,
} from './retirement'
import { FOREIGN } from '../helpers/foreign-address'

/** Every connection is older than this at its second request, and many at the first one. */
const AT_ONCE = { maxConnectionAgeMs: 1 }

const answer: http.RequestListener = (_request, response) => {
  response.end('answer')
}

describe.each<Scheme>(['http', 'https'])('maxRequests of an %s server', (scheme) => {
  it('ends each connection with the response to its last request, and no request fails', async () => {
    const server = serverOf(scheme, answer)
    const tuning = tuneServer(server, { maxRequests: 3 })
    const port = await listen(server)
    const agent = agentOf(scheme)
    const answers: Answer[] = []
    while (answers.length < 9) answers.push(await ask(scheme, port, agent))
    expect(answers.map(({ connection }) => connection)).toEqual(
      Array.from({ length: 3 }, () => ['keep-alive', 'keep-alive', 'close']).flat(),
    )
    expect(new Set(answers.map((one) => one.port)).size).toBe(3)
    expect(tuning.counters().retired).toEqual({ age: 0, requests: 3, shutdown: 0 })
  })

  it('replaces a Connection header that the application copies from elsewhere', async () => {
    const server = serverOf(scheme, (_request, response) => {
      response.setHeader('connection', 'keep-alive')
      response.end('answer')
    })
    tuneServer(server, { maxRequests: 1 })
    const { connection } = await ask(scheme, await listen(server), agentOf(scheme))
    expect(connection).toBe('close')
  })
})

describe('maxRequests', () => {
  it('makes no request of undici fail', async () => {
    const server = serverOf('http', answer)
    const tuning = tuneServer(server, { maxRequests: 5 })
    const pool = new Pool(`http://${host}:${String(await listen(server))}`, { connections: 4 })
    closeLater(() => void pool.destroy())
    const bodies = await Promise.all(
      Array.from({ length: 100 }, async () => {
        const { body } = await pool.request({ path: '/', method: 'POST', body: 'body' })
        return body.text()
      }),
    )
    expect(new Set(bodies)).toEqual(new Set(['answer']))
    expect(tuning.counters().retired.requests).toBeGreaterThanOrEqual(100 / 5 - 4)
  })

  it('counts requests of `checkContinue` and `checkExpectation`, whenever their listeners are added', async () => {
    const server = serverOf('http', answer)
    const tuning = tuneServer(server, { maxRequests: 3 })
    server.on('checkContinue', (_request, response: http.ServerResponse) => {
      response.writeContinue()
      response.end('continued')
    })
    server.on('checkExpectation', answer)
    const port = await listen(server)
    const agent = agentOf('http')
    const expectations = ['100-continue', 'miracles', undefined]
    const answers: (string | undefined)[] = []
    for (const expect of expectations) {
      const { connection } = await ask('http', port, agent, expect ? { headers: { expect } } : {})
      answers.push(connection)
    }
    expect(answers).toEqual(['keep-alive', 'keep-alive', 'close'])
    expect(tuning.counters().retired.requests).toBe(1)
    server.removeAllListeners('checkContinue')
    server.removeAllListeners('checkExpectation')
    expect(await ask('http', port, agent, { headers: { expect: '100-continue' } })).toMatchObject({
      body: 'answer',
    })
  })

  it('removes its listener when the application removes its own', async () => {
    const server = serverOf('http', answer)
    tuneServer(server, { maxRequests: 3 })
    const listener = jest.fn()
    server.on('checkContinue', listener)
    server.off('checkContinue', listener)
    expect(server.listenerCount('checkContinue')).toBe(0)
    const headers = { expect: '100-continue' }
    const { body } = await ask('http', await listen(server), agentOf('http'), { headers })
    expect(body).toBe('answer')
  })

  it('does not drop pipelined requests, even if the first is answered late', async () => {
    const waiting: http.ServerResponse[] = []
    const server = serverOf('http', (_request, response) => waiting.push(response))
    const tuning = tuneServer(server, { maxRequests: 1 })
    const client = await connected(await listen(server))
    let text = ''
    client.on('data', (part: Buffer) => (text += part.toString()))
    client.write(REQUEST.repeat(3))
    await until(
      'all requests are there',
      () => waiting.length,
      (count) => count === 3,
    )
    for (const response of waiting) response.end('answer')
    await once(client, 'end')
    expect(text.match(/^Connection: .*$/gm)).toEqual([
      'Connection: keep-alive',
      'Connection: keep-alive',
      'Connection: close',
    ])
    expect(tuning.counters().retired.requests).toBe(1)
  })

  it('does not count connections that their clients end', async () => {
    const server = serverOf('http', answer)
    const tuning = tuneServer(server, { maxRequests: 1 })
    const port = await listen(server)
    const { connection } = await ask('http', port, false, { headers: { connection: 'close' } })
    expect(connection).toBe('close')
    expect(tuning.counters().retired.requests).toBe(0)
  })

  it("does not change Node's own maxRequestsPerSocket", async () => {
    const server = serverOf('http', answer)
    server.maxRequestsPerSocket = 2
    const tuning = tuneServer(server, { maxRequests: 3 })
    const port = await listen(server)
    const agent = agentOf('http')
    const answers: (string | undefined)[] = []
    while (answers.length < 4) answers.push((await ask('http', port, agent)).connection)
    expect(answers).toEqual(['keep-alive', 'close', 'keep-alive', 'close'])
    expect(tuning.counters().retired.requests).toBe(0)
    expect(server.maxRequestsPerSocket).toBe(2)
  })

  it('no longer applies after stop(), or after other limits are set', async () => {
    const server = serverOf('http', answer)
    const tuning = tuneServer(server, { maxRequests: 1 })
    const port = await listen(server)
    const agent = agentOf('http')
    const connection = async (): Promise<string | undefined> =>
      (await ask('http', port, agent)).connection
    expect(await connection()).toBe('close')
    const later = tuneServer(server, { maxRequests: 2 })
    tuning.stop()
    expect([await connection(), await connection()]).toEqual(['keep-alive', 'close'])
    later.stop()
    expect([await connection(), await connection()]).toEqual(['keep-alive', 'keep-alive'])
    expect(server.listenerCount('request')).toBe(1)
  })

  it('is also an option of listen(), and is removed if that fails', async () => {
    const server = serverOf('http', answer)
    await expect(listenTuned(server, { host: FOREIGN, port: 0, maxRequests: 1 })).rejects.toThrow(
      coded('EADDRNOTAVAIL'),
    )
    expect(server.listenerCount('request')).toBe(1)
    const { port } = await listenTuned(server, { host, maxRequests: 1 })
    expect((await ask('http', port, agentOf('http'))).connection).toBe('close')
  })
})

describe.each<Scheme>(['http', 'https'])('maxConnectionAgeMs of an %s server', (scheme) => {
  it('ends a busy connection with its next response', async () => {
    const server = serverOf(scheme, answer)
    const tuning = tuneServer(server, AT_ONCE)
    const client = await connected(await listen(server), scheme)
    const last = await until(
      'an answer is the last one',
      () => nextAnswer(client),
      (text) => text === undefined || text.includes('Connection: close'),
    )
    expect(last).toMatch(/^HTTP\/1\.1 200 OK/)
    expect(tuning.counters().retired).toEqual({ age: 1, requests: 0, shutdown: 0 })
    await until(
      'it is closed',
      () => client.readableEnded,
      (is) => is,
    )
  })

  it('closes idle connections, whether used before or not, but no connection with a slow response', async () => {
    const waiting: http.ServerResponse[] = []
    const server = serverOf(scheme, ({ url }, response) => {
      if (url !== '/wait') {
        response.end('answer')
        return
      }
      response.flushHeaders()
      waiting.push(response)
    })
    const tuning = tuneServer(server, { maxConnectionAgeMs: 300 })
    const port = await listen(server)
    const [used, unused] = [await connected(port, scheme), await connected(port, scheme)]
    await nextAnswer(used)
    const answered = ask(scheme, port, agentOf(scheme), { path: '/wait' })
    const ended = [used, unused].map((socket) => once(socket.resume(), 'end'))
    await until(
      'the idle ones are closed',
      () => tuning.counters().retired.age,
      (count) => count === 2,
    )
    await Promise.all(ended)
    expect(waiting).toHaveLength(1)
    waiting[0]?.end('late answer')
    expect(await answered).toMatchObject({ body: 'late answer' })
  })
})

describe('maxConnectionAgeMs', () => {
  it('ends a connection with a response that has not begun when the age is reached', async () => {
    const waiting: http.ServerResponse[] = []
    const server = serverOf('http', (_request, response) => waiting.push(response))
    const tuning = tuneServer(server, { maxConnectionAgeMs: 300 })
    const answered = ask('http', await listen(server), agentOf('http'))
    await until(
      'the connection is retired',
      () => tuning.counters().retired.age,
      (count) => count === 1,
    )
    expect(waiting).toHaveLength(1)
    waiting[0]?.end('answer')
    expect(await answered).toMatchObject({ body: 'answer', connection: 'close' })
  })

  it('announces at most the remaining time in Keep-Alive', async () => {
    const server = serverOf('http', answer)
    tuneServer(server, { maxConnectionAgeMs: 60_000, connectionAgeJitterPercent: 0 })
    const { keepAlive } = await ask('http', await listen(server), agentOf('http'))
    const [, seconds] = /^timeout=(\d+)$/.exec(keepAlive ?? '') ?? []
    expect(Number(seconds)).toBeLessThan(60)
    expect(Number(seconds)).toBeGreaterThan(0)
  })

  it('varies between connections by connectionAgeJitterPercent', async () => {
    const server = serverOf('http', answer)
    tuneServer(server, { maxConnectionAgeMs: 1_000_000, connectionAgeJitterPercent: 100 })
    const port = await listen(server)
    const announced = new Set<string | undefined>()
    // 8 random numbers between 1 and 1,000 are not all the same.
    for (let client = 0; client < 8; client++)
      announced.add((await ask('http', port, agentOf('http'))).keepAlive)
    expect(announced.size).toBeGreaterThan(1)
  })

  it('applies to earlier connections too, counted from the tuning', async () => {
    const server = serverOf('http', answer)
    const port = await listen(server)
    const client = await connected(port)
    await nextAnswer(client)
    const tuning = tuneServer(server, AT_ONCE)
    await until(
      'it is closed',
      () => nextAnswer(client),
      (text) => text === undefined || text.includes('Connection: close'),
    )
    expect(tuning.counters().retired.age).toBe(1)
  })

  it('closes in the close mode of the server', async () => {
    const server = serverOf('http', answer)
    const tuning = tuneServer(server, { ...AT_ONCE, close: 'deliver' })
    const client = await connected(await listen(server))
    client.resume().write(REQUEST)
    await once(client, 'end')
    await until(
      'it is counted',
      () => tuning.counters(),
      ({ closes }) => closes.deliver === 1,
    )
    expect(tuning.counters()).toMatchObject({ retired: { age: 1 }, timeWaitLeft: 0 })
  })

  it('does not keep the process alive', async () => {
    const server = serverOf('http', answer)
    tuneServer(server, AT_ONCE)
    const before = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    await listen(server)
    const after = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    expect(after).toBe(before)
  })

  it('still applies when the server listens again', async () => {
    const server = serverOf('http', answer)
    const tuning = tuneServer(server, AT_ONCE)
    await listen(server)
    server.close()
    await once(server, 'close')
    const client = await connected(await listen(server))
    await once(client.resume(), 'end')
    expect(tuning.counters().retired.age).toBe(1)
  })
})

describe.each([
  ['h2c', false],
  ['TLS', true],
])('the limits of an HTTP/2 server (%s)', (_, isSecure) => {
  function create(serve: (stream: http2.ServerHttp2Stream) => void): net.Server {
    const server = isSecure ? http2.createSecureServer(certificate) : http2.createServer()
    server.on('stream', serve)
    return server
  }

  it('end a session with GOAWAY after maxRequests, and requests in progress are answered', async () => {
    const streams: http2.ServerHttp2Stream[] = []
    const server = create((stream) => streams.push(stream))
    const tuning = tuneServer(server, { maxRequests: 3 })
    const session = await sessionTo(await listen(server), isSecure)
    const codes: unknown[] = []
    session.on('goaway', (code: number, lastStream: number) => codes.push([code, lastStream]))
    // The fourth and the fifth request are on their way when the server reaches its maximum of three.
    const answers = Array.from({ length: 5 }, () => askBySession(session))
    await until(
      'all are there',
      () => streams.length,
      (count) => count === 5,
    )
    for (const stream of streams) stream.end('answer')
    expect(await Promise.all(answers)).toEqual(Array.from({ length: 5 }, () => 'answer'))
    await until(
      'the session is closed',
      () => session.closed && session.destroyed,
      (isClosed) => isClosed,
    )
    expect(codes[0]).toEqual([0, 2 ** 31 - 1])
    expect(tuning.counters().retired).toEqual({ age: 0, requests: 1, shutdown: 0 })
  })

  it('end a session with GOAWAY at its age, but not the request in progress', async () => {
    const streams: http2.ServerHttp2Stream[] = []
    const server = create((stream) => streams.push(stream))
    const tuning = tuneServer(server, { maxConnectionAgeMs: 200 })
    const session = await sessionTo(await listen(server), isSecure)
    const answered = askBySession(session)
    await until(
      'the session has GOAWAY',
      () => session.closed,
      (isClosed) => isClosed,
    )
    expect(session.destroyed).toBe(false)
    expect(streams).toHaveLength(1)
    streams[0]?.end('answer')
    expect(await answered).toBe('answer')
    await once(session, 'close')
    expect(tuning.counters().retired).toEqual({ age: 1, requests: 0, shutdown: 0 })
  })
})

describe('limits on a server that is not an HTTP server', () => {
  const servers: [string, () => net.Server][] = [
    ['net', () => net.createServer()],
    ['tls', () => tls.createServer()],
  ]

  it.each(servers)('are refused (%s)', async (_, create) => {
    for (const limits of [{ maxConnectionAgeMs: 1_000 }, { maxRequests: 5 }]) {
      const [name = ''] = Object.keys(limits)
      const server = create()
      const { message } = failureOf(() => tuneServer(server, limits))
      expect(message).toContain(`options.${name}`)
      expect(() => tuneServer(server, limits)).toThrow(coded('ERR_INVALID_ARG_VALUE'))
      await expect(listenTuned(server, { host, ...limits })).rejects.toThrow(
        coded('ERR_INVALID_ARG_VALUE'),
      )
      expect(server.listening).toBe(false)
    }
  })
})

describe('invalid limits', () => {
  it.each<[object, string]>([
    [{ maxConnectionAgeMs: 0 }, 'ERR_OUT_OF_RANGE'],
    [{ maxConnectionAgeMs: 2 ** 31 }, 'ERR_OUT_OF_RANGE'],
    [{ maxConnectionAgeMs: '5m' }, 'ERR_INVALID_ARG_TYPE'],
    [{ connectionAgeJitterPercent: 101 }, 'ERR_OUT_OF_RANGE'],
    [{ connectionAgeJitterPercent: 0.1 }, 'ERR_OUT_OF_RANGE'],
    [{ maxRequests: 0 }, 'ERR_OUT_OF_RANGE'],
    [{ maxRequest: 1 }, 'ERR_SOCKET_TUNER_UNKNOWN_OPTION'],
  ])('are refused: %j', (limits, code) => {
    const server = http.createServer(answer)
    expect(() => tuneServer(server, limits)).toThrow(coded(code))
    expect(server.listenerCount('request')).toBe(1)
  })
})
