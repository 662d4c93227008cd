import { once } from 'node:events'
import * as http from 'node:http'
import * as http2 from 'node:http2'
import * as net from 'node:net'
import {
  answerEarly,
  listen,
  tuneServer,
  type EarlyAnswer,
  type EarlyAnswerReport,
} from '../../lib'
import { policyOf } from '../../lib/close/hooks'
import { closeLater, destroyLater, failureOf, loopback } from '../sockets'

const host = loopback[4]

/** Starts an http server with the handler `answer`. It is closed with its connections after the test. */
async function serve(answer: http.RequestListener): Promise<{ port: number; server: http.Server }> {
  const server = http.createServer(answer)
  closeLater(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = await listen(server, { host })
  return { port, server }
}

/** Starts a server that answers by answerEarly(), and returns the report of the first request. */
async function early(
  answer: EarlyAnswer,
): Promise<{ port: number; report: Promise<EarlyAnswerReport> }> {
  let settle: (report: Promise<EarlyAnswerReport>) => void
  const report = new Promise<EarlyAnswerReport>((resolve) => {
    settle = resolve
  })
  const { port } = await serve((request, response) => {
    settle(answerEarly(request, response, answer))
  })
  return { port, report }
}

describe('answerEarly()', () => {
  it('answers, closes the connection, and reports the discarded bytes', async () => {
    const { port, report } = await early({
      status: 413,
      headers: { 'x-limit': '10' },
      body: 'too much',
    })
    const request = http.request({ host, port, method: 'PUT', headers: { 'content-length': 1000 } })
    request.on('error', () => undefined)
    request.write('x'.repeat(100))
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    expect(response.statusCode).toBe(413)
    expect(response.headers).toMatchObject({
      connection: 'close',
      'content-length': '8',
      'x-limit': '10',
    })
    response.setEncoding('utf8')
    expect(await once(response, 'data')).toEqual(['too much'])
    request.end('x'.repeat(900))
    expect(await report).toMatchObject({ end: 'lingering' })
  })

  it('keeps the connection if the request was complete', async () => {
    const { port, server } = await serve((request, response) => {
      request.resume().once('end', () => {
        reports.push(answerEarly(request, response, { status: 401 }))
      })
    })
    const reports: Promise<EarlyAnswerReport>[] = []
    const agent = new http.Agent({ keepAlive: true })
    closeLater(() => {
      agent.destroy()
    })
    for (let i = 0; i < 2; i++) {
      const request = http.request({ host, port, agent, method: 'PUT' }).end('small')
      const [response] = (await once(request, 'response')) as [http.IncomingMessage]
      expect(response.statusCode).toBe(401)
      await once(response.resume(), 'close')
    }
    expect(await Promise.all(reports)).toEqual(Array(2).fill({ end: 'kept', unreadBytes: 0 }))
    expect(server.listening).toBe(true)
  })

  it('stops waiting for a client that is silent or sends too much', async () => {
    const silent = await early({ status: 400, idleMs: 30 })
    const first = net.connect({ host, port: silent.port, allowHalfOpen: true })
    destroyLater(first)
    first.resume().write('PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx')
    expect(await silent.report).toMatchObject({
      end: 'lingering',
      fallback: { code: 'idle', message: 'the peer sent nothing for 30 ms and did not finish' },
    })

    const limited = await early({ status: 413, maxDiscardBytes: 1_000 })
    const socket = net.connect(limited.port, host)
    destroyLater(socket)
    socket.pause().write('PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 90000000\r\n\r\n')
    socket.write(Buffer.alloc(10_000_000))
    const report = await limited.report
    expect(report.fallback).toEqual({
      code: 'too-much-input',
      message: 'the peer sent more than 1000 bytes',
    })
    expect(report.unreadBytes).toBeGreaterThan(1_000)
  })

  it('is counted among the closes of a tuned server', async () => {
    const { port, server } = await serve((request, response) => {
      void answerEarly(request, response, { status: 413, idleMs: 30 })
    })
    const tuning = tuneServer(server, { close: 'deliver' })
    const request = http.request({ host, port, method: 'PUT' })
    request.on('error', () => undefined)
    request.write('x')
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    response.resume()
    await once(response, 'close')
    request.end()
    while (tuning.counters().closes.lingering === 0) {
      await new Promise<void>((resolve) => {
        setImmediate(resolve)
      })
    }
    expect(tuning.counters()).toMatchObject({ closes: { lingering: 1, deliver: 0 }, lingering: 0 })
  })

  it('ends only the stream over HTTP/2, not the session, after the answer', async () => {
    const reports: Promise<EarlyAnswerReport>[] = []
    const server = http2.createServer((request, response) => {
      reports.push(answerEarly(request, response, { status: 413, body: 'too much' }))
    })
    closeLater(() => server.close())
    const { port } = await listen(server, { host })
    const session = http2.connect(`http://${host}:${String(port)}`)
    closeLater(() => {
      session.destroy()
    })
    for (let i = 0; i < 2; i++) {
      const stream = session.request({ ':method': 'PUT' }, { endStream: false })
      stream.setEncoding('utf8').write('x'.repeat(1_000))
      const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders]
      expect(headers[':status']).toBe(413)
      expect(await once(stream, 'data')).toEqual(['too much'])
      await once(stream, 'close')
      expect(stream.rstCode).toBe(http2.constants.NGHTTP2_NO_ERROR)
    }
    expect(await Promise.all(reports)).toEqual(Array(2).fill({ end: 'stream', unreadBytes: 0 }))
  })

  it.each<[string, unknown, string]>([
    ['no answer', undefined, 'ERR_INVALID_ARG_TYPE'],
    ['no status', {}, 'ERR_INVALID_ARG_TYPE'],
    ['a status of 100', { status: 100 }, 'ERR_OUT_OF_RANGE'],
    ['a status of 600', { status: 600 }, 'ERR_OUT_OF_RANGE'],
    ['headers that are not an object', { status: 413, headers: 'x' }, 'ERR_INVALID_ARG_TYPE'],
    ['a body that is a number', { status: 413, body: 7 }, 'ERR_INVALID_ARG_TYPE'],
    ['a deadline of 0', { status: 413, deadlineMs: 0 }, 'ERR_OUT_OF_RANGE'],
    ['a negative limit', { status: 413, maxDiscardBytes: -1 }, 'ERR_OUT_OF_RANGE'],
    ['a limit of 0 connections', { status: 413, maxLingering: 0 }, 'ERR_OUT_OF_RANGE'],
  ])('refuses %s, and sends nothing', async (_, answer, code) => {
    const errors: Error[] = []
    const { port } = await serve((request, response) => {
      errors.push(failureOf(() => answerEarly(request, response, answer as EarlyAnswer)))
      expect(response.headersSent).toBe(false)
      response.end('plain')
    })
    expect(await (await fetch(`http://${host}:${String(port)}/`)).text()).toBe('plain')
    expect(errors).toMatchObject([{ code }])
  })

  it('sets the headers for framing itself', async () => {
    const { port } = await early({
      status: 413,
      headers: { 'Content-Length': 3, Connection: 'keep-alive', 'transfer-encoding': 'chunked' },
      body: 'too much',
    })
    const request = http.request({ host, port, method: 'PUT', headers: { 'content-length': 1 } })
    request.flushHeaders()
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    const { date, ...headers } = response.headers
    expect(date).toBeDefined()
    expect(headers).toEqual({ connection: 'close', 'content-length': '8' })
    expect(await once(response.setEncoding('utf8'), 'data')).toEqual(['too much'])
    request.destroy()
  })

  it('changes nothing if a header is invalid', async () => {
    const errors: Error[] = []
    const { port } = await serve((request, response) => {
      const answer = { status: 413, headers: { 'no header': 'x' } }
      errors.push(failureOf(() => answerEarly(request, response, answer)))
      expect(policyOf(request.socket)).toBeUndefined()
      response.end('as ever')
    })
    const request = http.request({ host, port, method: 'PUT', headers: { 'content-length': 1 } })
    request.flushHeaders()
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    expect(errors).toMatchObject([{ code: 'ERR_INVALID_HTTP_TOKEN' }])
    expect(await once(response.setEncoding('utf8'), 'data')).toEqual(['as ever'])
    request.destroy()
  })

  it('refuses an invalid request or response, the response of another request, and a request that is already answered', async () => {
    const errors: Error[] = []
    const { port } = await serve((request, response) => {
      const attempt = (...args: unknown[]) => {
        errors.push(failureOf(() => (answerEarly as (...all: unknown[]) => unknown)(...args)))
      }
      attempt(undefined, response, { status: 413 })
      attempt(request, null, { status: 413 })
      const other = new http.IncomingMessage(request.socket)
      attempt(request, new http.ServerResponse(other), { status: 413 })
      response.write('begun')
      attempt(request, response, { status: 413 })
      response.end()
    })
    await fetch(`http://${host}:${String(port)}/`)
    expect(errors.map((error) => (error as { code?: string }).code)).toEqual([
      'ERR_INVALID_ARG_TYPE',
      'ERR_INVALID_ARG_TYPE',
      'ERR_INVALID_ARG_VALUE',
      'ERR_HTTP_HEADERS_SENT',
    ])
  })
})
