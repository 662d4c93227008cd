import { spawn } from 'node:child_process'
import { once } from 'node:events'
import * as http from 'node:http'
import * as http2 from 'node:http2'
import * as net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { Agent, request as undiciRequest } from 'undici'
import { tuneServer, type ServerTuning, type ShutdownReport } from '../../lib'
import { native } from '../../lib/kernel/binding'
import { coded } from '../helpers/coded'
import { until } from '../helpers/until'
import { closeLater, handOver, listen, listeningSocket, succeed } from '../sockets'
import {
  agentOf,
  ask,
  askBySession,
  connected,
  host,
  REQUEST,
  serverOf,
  sessionTo,
  type Scheme,
} from './retirement'

/** No busy connection is silent for an eighth of this time. */
const LONG_MS = 600_000
/** With this deadline, idle connections are closed after 1.5 s, and unused ones after 6 s. */
const PATIENT_MS = 12_000

interface Served {
  server: http.Server
  tuning: ServerTuning
  port: number
}

const answer: http.RequestListener = (_request, response) => {
  response.end('answer')
}

async function serve(scheme: Scheme, listener: http.RequestListener = answer): Promise<Served> {
  const server = serverOf(scheme, listener)
  const tuning = tuneServer(server, {})
  return { server, tuning, port: await listen(server) }
}

/** The expected report: the number of connections, and other members that a test can predict. */
function reportOf(connections: number, parts: Partial<ShutdownReport>): ShutdownReport {
  return {
    ...{ connections, answer: 0, goaway: 0, idle: 0, cut: 0, others: 0 },
    durationMs: expect.any(Number) as number,
    ...parts,
  }
}

function sum({ answer: answers, goaway, idle, cut, others }: ShutdownReport): number {
  return answers + goaway + idle + cut + others
}

/** Resolves when the client's connection is closed, with or without an error. */
function isClosed(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.resume().once('close', () => {
      resolve()
    })
  })
}

/** Clients that keep sending requests, as behind a load balancer: new connections go to the next server. */
class Load {
  answered = 0
  readonly failed: string[] = []
  #isRunning = true
  readonly #clients: Promise<void>[]

  constructor(clients: number, askOnce: (client: number) => Promise<string>) {
    // Clients stop even if the test fails.
    closeLater(() => {
      this.#isRunning = false
    })
    this.#clients = Array.from({ length: clients }, async (_, client) => {
      while (this.#isRunning) {
        try {
          expect(await askOnce(client)).toBe('answer')
          this.answered++
        } catch (error) {
          this.failed.push(String(error))
        }
        await delay(1)
      }
    })
  }

  async more(requests: number): Promise<void> {
    const before = this.answered
    await until(
      `${String(requests)} more answers`,
      () => this.answered - before + this.failed.length,
      (count) => count >= requests,
    )
  }

  async stop(): Promise<void> {
    this.#isRunning = false
    await Promise.all(this.#clients)
  }
}

describe.each<Scheme>(['http', 'https'])('shutdown() of an %s server under load', (scheme) => {
  const CLIENTS = 12

  it('makes no request fail on kept connections, and spreads their ends', async () => {
    const old = await serve(scheme)
    const next = await serve(scheme)
    let { port } = old
    // An agent keeps its connections by port, so a client stays with its server until the server ends the connection.
    const clients = Array.from({ length: CLIENTS }, () => ({ agent: agentOf(scheme), port }))
    const load = new Load(CLIENTS, async (number) => {
      const client = clients[number]
      if (client === undefined) throw new Error('there is no such client')
      const { body, connection } = await ask(scheme, client.port, client.agent, { method: 'POST' })
      if (connection === 'close') client.port = port
      return body
    })
    await load.more(CLIENTS * 5)
    ;({ port } = next)
    const report = await old.tuning.shutdown({ overMs: 500, deadlineMs: LONG_MS })
    await load.more(CLIENTS * 5)
    await load.stop()
    expect(load.failed).toEqual([])
    expect(report).toEqual(reportOf(CLIENTS, { answer: CLIENTS }))
    expect(old.tuning.counters().retired).toEqual({ age: 0, requests: 0, shutdown: CLIENTS })
    expect(old.server.listening).toBe(false)
  })
})

describe('shutdown() of a server under load', () => {
  it('makes no request of undici fail', async () => {
    const old = await serve('http')
    const next = await serve('http')
    let { port } = old
    // One name leads to the first server, and later to the second one.
    const agent = new Agent({
      connections: 8,
      connect: (_options, callback) => {
        const socket = net.connect(port, host)
        socket.once('connect', () => {
          callback(null, socket)
        })
        socket.once('error', (error) => {
          callback(error, null)
        })
      },
    })
    closeLater(() => void agent.destroy())
    const load = new Load(8, async () => {
      const options = { dispatcher: agent, method: 'POST', body: 'body' } as const
      const { body } = await undiciRequest('http://service.test/', options)
      return body.text()
    })
    await load.more(100)
    ;({ port } = next)
    const report = await old.tuning.shutdown({ overMs: 300, deadlineMs: PATIENT_MS })
    await load.more(100)
    await load.stop()
    expect(load.failed).toEqual([])
    // The spare connections of undici are idle.
    expect(report.cut).toBe(0)
    expect(report.answer).toBeGreaterThan(0)
  })

  it('makes no request of HTTP/2 sessions fail', async () => {
    let served = 0
    const create = async (): Promise<{ port: number; tuning: ServerTuning }> => {
      const server = http2.createServer((_request, response) => {
        served++
        response.end('answer')
      })
      const tuning = tuneServer(server, {})
      return { tuning, port: await listen(server) }
    }
    const old = await create()
    const next = await create()
    let { port } = old
    const sessions: http2.ClientHttp2Session[] = []
    const askOnce = async (client: number): Promise<string> => {
      let session = sessions[client]
      if (session === undefined || session.closed)
        sessions[client] = session = await sessionTo(port)
      return askBySession(session).catch((error: unknown) => {
        // The server did not process this request (RFC 9113 section 8.7), so it is sent again.
        if (String(error).includes('NGHTTP2_REFUSED_STREAM')) return askOnce(client)
        throw error
      })
    }
    const load = new Load(6, askOnce)
    await load.more(60)
    ;({ port } = next)
    const report = await old.tuning.shutdown({ overMs: 300, deadlineMs: LONG_MS })
    await load.more(60)
    await load.stop()
    expect(load.failed).toEqual([])
    expect(served).toBe(load.answered)
    expect(report).toEqual(reportOf(6, { goaway: 6 }))
  })
})

describe('shutdown()', () => {
  it('accepts and answers connections until overMs has passed', async () => {
    const { server, tuning, port } = await serve('http')
    const controller = new AbortController()
    const over = tuning.shutdown({ overMs: LONG_MS, signal: controller.signal })
    const headers = { connection: 'close' }
    for (let client = 0; client < 3; client++)
      expect(await ask('http', port, false, { headers })).toMatchObject({ body: 'answer' })
    expect(server.listening).toBe(true)
    controller.abort()
    const report = await over
    expect(report.connections).toBe(3)
    expect(sum(report)).toBe(3)
    expect(server.listening).toBe(false)
  })

  it('accepts no more connections with keepAccepting: false', async () => {
    const { server, tuning, port } = await serve('http')
    const client = await connected(port)
    client.resume()
    const over = tuning.shutdown({ overMs: LONG_MS, keepAccepting: false })
    await until(
      'it does not listen',
      () => server.listening,
      (is) => !is,
    )
    client.destroy()
    expect(await over).toEqual(reportOf(1, { others: 1 }))
  })

  it('closes idle connections, whether used before or not', async () => {
    const { tuning, port } = await serve('http')
    await ask('http', port, agentOf('http'))
    await connected(port)
    const report = await tuning.shutdown({ deadlineMs: PATIENT_MS })
    expect(report).toEqual(reportOf(2, { idle: 2 }))
  })

  it('ends a connection with the response that had not begun', async () => {
    const waiting: http.ServerResponse[] = []
    const { tuning, port } = await serve('http', (_request, response) => waiting.push(response))
    const answered = ask('http', port, agentOf('http'))
    await until(
      'the request is there',
      () => waiting.length,
      (count) => count === 1,
    )
    const over = tuning.shutdown({ deadlineMs: LONG_MS })
    waiting[0]?.end('answer')
    expect(await answered).toMatchObject({ body: 'answer', connection: 'close' })
    expect(await over).toEqual(reportOf(1, { answer: 1 }))
  })

  it('destroys remaining requests, upgraded connections and sessions at the deadline', async () => {
    const { server, tuning, port } = await serve('http', () => undefined)
    server.on('upgrade', (_request, socket) => {
      socket.on('error', () => undefined)
    })
    const [waiting, upgraded] = [await connected(port), await connected(port)]
    waiting.write(REQUEST)
    const upgrade = once(server, 'upgrade')
    upgraded.write(REQUEST.replace('Host', 'Connection: upgrade\r\nUpgrade: chat\r\nHost'))
    await upgrade
    const closed = Promise.all([isClosed(waiting), isClosed(upgraded)])
    expect(await tuning.shutdown({ deadlineMs: 100 })).toEqual(reportOf(2, { cut: 2 }))
    await closed
    expect(server.listening).toBe(false)
  })

  it('destroys HTTP/2 sessions whose streams do not end', async () => {
    const server = http2.createServer()
    const tuning = tuneServer(server, {})
    const streamed = once(server, 'stream')
    const session = await sessionTo(await listen(server))
    session.request({ ':path': '/' }).on('error', () => undefined)
    await streamed
    expect(await tuning.shutdown({ deadlineMs: 100 })).toEqual(reportOf(1, { cut: 1 }))
    await once(session, 'close')
  })

  it('destroys the remaining connections when its signal is aborted', async () => {
    const { tuning, port } = await serve('http', () => undefined)
    const client = await connected(port)
    client.write(REQUEST)
    const closed = isClosed(client)
    const controller = new AbortController()
    const over = tuning.shutdown({ overMs: LONG_MS, signal: controller.signal })
    controller.abort()
    expect(await over).toEqual(reportOf(1, { cut: 1 }))
    await closed
  })

  it('waits for the connections of a server that is not an HTTP server, and destroys them at the deadline', async () => {
    const server = net.createServer()
    const tuning = tuneServer(server, {})
    const port = await listen(server)
    const accepted = once(server, 'connection')
    const [first, second] = [await connected(port), await connected(port)]
    await accepted
    const closed = isClosed(second)
    const over = tuning.shutdown({ deadlineMs: 1_000 })
    first.destroy()
    const report = await over
    await closed
    expect(report.connections).toBe(2)
    expect(report.others + report.cut).toBe(2)
    expect(report.cut).toBeGreaterThan(0)
  })

  it('runs only once if it is called again', async () => {
    const { tuning } = await serve('http')
    expect(tuning.shutdown()).toBe(tuning.shutdown({ overMs: 5 }))
    expect(await tuning.shutdown()).toEqual(reportOf(0, {}))
  })

  it('ends the connections of a server that the application has closed', async () => {
    const { server, tuning, port } = await serve('http')
    const agent = agentOf('http')
    const waiting = ask('http', port, agent)
    await waiting
    net.Server.prototype.close.call(server)
    expect(await tuning.shutdown({ deadlineMs: PATIENT_MS })).toEqual(reportOf(1, { idle: 1 }))
  })

  it('resolves at once for a server that never listened', async () => {
    const server = http.createServer(answer)
    expect(await tuneServer(server, {}).shutdown()).toEqual(reportOf(0, {}))
  })

  it('leaves a server that can listen again with its limits', async () => {
    const server = serverOf('http', answer)
    const tuning = tuneServer(server, { maxRequests: 2 })
    await listen(server)
    await tuning.shutdown()
    const port = await listen(server)
    const agent = agentOf('http')
    const answers = []
    while (answers.length < 4) answers.push((await ask('http', port, agent)).connection)
    expect(answers).toEqual(['keep-alive', 'close', 'keep-alive', 'close'])
    expect(tuning.counters().retired).toEqual({ age: 0, requests: 2, shutdown: 0 })
  })

  it('does not keep the process alive', async () => {
    const { tuning } = await serve('http')
    const timers = (): number =>
      process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    const before = timers()
    const controller = new AbortController()
    const over = tuning.shutdown({ overMs: LONG_MS, signal: controller.signal })
    expect(timers()).toBe(before)
    controller.abort()
    await over
  })

  it('refuses no connection if another process shares the socket', async () => {
    const fd = listeningSocket()
    const port = succeed(native.localPort(fd))
    const program = `process.stdin.once('data', () =>
      require('node:http').createServer((_, response) => response.end('heir')).listen({ fd: 3 }, () =>
        process.stdout.write('listens')))`
    const heir = spawn(process.execPath, ['-e', program], {
      stdio: ['pipe', 'pipe', 'inherit', fd],
    })
    closeLater(() => heir.kill('SIGKILL'))
    const server = serverOf('http', answer)
    await once(server.listen({ fd: handOver(fd) }), 'listening')
    expect(await tuneServer(server, {}).shutdown({ overMs: 1 })).toEqual(reportOf(0, {}))
    const { stdin, stdout } = heir
    if (stdin === null || stdout === null) throw new Error('the process has no pipes')
    const listens = once(stdout, 'data')
    stdin.end('now')
    await listens
    expect(await ask('http', port, false)).toMatchObject({ body: 'heir' })
  })

  it.each<[object, string]>([
    [{ overMs: -1 }, 'ERR_OUT_OF_RANGE'],
    [{ overMs: '1' }, 'ERR_INVALID_ARG_TYPE'],
    [{ overMs: 2_000, deadlineMs: 1_000 }, 'ERR_INVALID_ARG_VALUE'],
    [{ keepAccepting: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [{ signal: {} }, 'ERR_INVALID_ARG_TYPE'],
    [{ spreadMs: 1 }, 'ERR_SOCKET_TUNER_UNKNOWN_OPTION'],
  ])('refuses %j, and changes nothing', async (options, code) => {
    const { server, tuning } = await serve('http')
    expect(() => tuning.shutdown(options)).toThrow(coded(code))
    expect(server.listening).toBe(true)
    expect(server.listenerCount('request')).toBe(1)
  })
})
