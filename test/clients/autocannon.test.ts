import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import * as http from 'node:http'
import * as https from 'node:https'
import * as net from 'node:net'
import { tmpdir } from 'node:os'
import * as path from 'node:path'
import * as tls from 'node:tls'
import type * as Library from '../../lib'
import type * as Adapter from '../../lib/clients/autocannon'
import { expectNoMoreThan, openDescriptors } from '../connect/descriptors'
import { makeCertificate } from '../helpers/certificate'
import { freshPort } from '../helpers/fresh-port'
import { until } from '../helpers/until'
import { closeLater, fullListener, listen } from '../sockets'
import { FOREIGN } from '../helpers/foreign-address'

// The compiled package, since worker threads of autocannon load modules without Jest.
const { SourcePool, getOption } = jest.requireActual<typeof Library>('../../dist')
const { tunedAutocannon } = jest.requireActual<typeof Adapter>('../../dist/clients/autocannon')

type Plain = (options: object) => Promise<Adapter.AutocannonResult>
const autocannon = jest.requireActual<Plain>('autocannon')

const MSS = 1000
/** TCP_MAXSEG without the 12 bytes of timestamps, as the server sees it. */
const MSS_AT_SERVER = 988
const settings = { TCP_MAXSEG: MSS }

/** 20 connections with ten requests each. */
const reconnecting = { connections: 4, amount: 200, reconnectRate: 10, sampleInt: 50 }
const noCloses = { fin: 0, deliver: 0, lingering: 0, reset: 0 }

interface Seen {
  url: string
  connections: number
  requests: number
  /** Counts the connections by the maximum segment size that the client announced. */
  segments: Record<string, number>
  sources: Set<string | undefined>
  errors: string[]
  /** The values of the header `x-from`. */
  from: Set<unknown>
}

/** Starts a server that answers each request with 'ok', or by `answer`. */
async function serve(
  answer: (response: http.ServerResponse, seen: Seen) => void = (response) => response.end('ok'),
  certificate?: tls.SecureContextOptions,
): Promise<Seen> {
  const server = certificate === undefined ? http.createServer() : https.createServer(certificate)
  const seen: Seen = {
    url: '',
    connections: 0,
    requests: 0,
    segments: {},
    sources: new Set(),
    errors: [],
    from: new Set(),
  }
  server.on('connection', (socket: net.Socket) => {
    const segment = String(getOption(socket, 'TCP_MAXSEG'))
    seen.connections++
    seen.segments[segment] = (seen.segments[segment] ?? 0) + 1
    seen.sources.add(socket.remoteAddress)
  })
  server.on('clientError', ({ code }: NodeJS.ErrnoException, socket) => {
    seen.errors.push(String(code))
    socket.destroy()
  })
  server.on('request', (request, response) => {
    seen.requests++
    seen.from.add(request.headers['x-from'])
    answer(response, seen)
  })
  closeLater(() => {
    server.closeAllConnections()
  })
  const port = await listen(server)
  seen.url = `${certificate === undefined ? 'http' : 'https'}://127.0.0.1:${String(port)}/`
  return seen
}

/** Returns the path of a setupClient module that sends its name with each request. */
function moduleFrom(name: string): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'socket-tuner-'))
  closeLater(() => {
    rmSync(folder, { recursive: true })
  })
  const file = path.join(folder, 'setup.js')
  writeFileSync(file, `module.exports = (client) => client.setHeaders({ 'x-from': '${name}' })`)
  return file
}

const threads = [
  ['in one thread', {}],
  ['in two worker threads', { workers: 2 }],
] as const

describe.each(threads)('tunedAutocannon (%s)', (_, more) => {
  it('tunes every connection, including reconnects, and counts them', async () => {
    const seen = await serve()
    const source = ['127.0.0.2', '127.0.0.3']
    const options = { ...reconnecting, ...more, url: seen.url }
    const result = await tunedAutocannon(options, { settings, source })
    expect(seen).toMatchObject({ connections: 20, requests: 200, errors: [] })
    expect(seen.segments).toEqual({ [MSS_AT_SERVER]: 20 })
    expect([...seen.sources].sort()).toEqual(source)
    // autocannon does not count the response before a reconnect.
    expect(result).toMatchObject({ '2xx': 180, errors: 0, requests: { sent: 200 } })
    expect(result.sockets).toEqual({
      created: 20,
      failed: 0,
      broken: 0,
      unfinished: 0,
      failures: {},
      closes: { ...noCloses, deliver: 20 },
      fallbacks: {},
      timeWaitLeft: 0,
    })
  })

  it('tunes the connections made after the server closed the previous one', async () => {
    const seen = await serve((response) => {
      response.shouldKeepAlive = false
      response.end('ok')
    })
    const options = { connections: 2, amount: 20, sampleInt: 50, ...more, url: seen.url }
    const { sockets } = await tunedAutocannon(options, { settings })
    expect(seen.connections).toBeGreaterThanOrEqual(10)
    expect(seen.segments).toEqual({ [MSS_AT_SERVER]: seen.connections })
    expect(sockets.created).toBe(seen.connections)
  })

  it('tunes the connections made after a request timed out', async () => {
    const seen = await serve((response, { requests }) => {
      if (requests > 2) response.end('ok')
    })
    const options = { connections: 2, amount: 4, timeout: 1, sampleInt: 50, ...more, url: seen.url }
    const result = await tunedAutocannon(options, { settings })
    // On a slow machine more of them time out.
    expect(result.timeouts).toBeGreaterThanOrEqual(2)
    const { created } = result.sockets
    expect(created).toBeGreaterThanOrEqual(4)
    expect(seen.segments).toEqual({ [MSS_AT_SERVER]: created })
  })

  it('tunes connections over TLS', async () => {
    const seen = await serve(undefined, makeCertificate())
    const options = { ...reconnecting, ...more, url: seen.url }
    const result = await tunedAutocannon(options, { settings })
    expect(seen).toMatchObject({ connections: 20, requests: 200, errors: [] })
    expect(seen.segments).toEqual({ [MSS_AT_SERVER]: 20 })
    await until(
      'all closes counted',
      () => result.sockets,
      ({ closes }) => closes.deliver === 20,
    )
  })

  it('tunes warm-up connections too', async () => {
    const seen = await serve()
    const warmup = { connections: 2, amount: 10 }
    const options = { ...reconnecting, ...more, warmup, url: seen.url }
    const result = await tunedAutocannon(options, { settings })
    expect(result.warmup).toMatchObject({ '2xx': 10 })
    expect(seen.segments).toEqual({ [MSS_AT_SERVER]: 22 })
    expect(result.sockets.created).toBe(22)
  })

  it('closes in the close mode, and uses the addresses of a SourcePool', async () => {
    const seen = await serve()
    const source = new SourcePool(['127.0.0.4', '127.0.0.5'])
    const options = { ...reconnecting, ...more, url: seen.url }
    const { sockets } = await tunedAutocannon(options, { source, close: 'reset' })
    expect(sockets).toMatchObject({ closes: { ...noCloses, reset: 20 }, fallbacks: {} })
    expect([...seen.sources].sort()).toEqual(source.addresses)
  })

  it("calls the caller's own setupClient module", async () => {
    const seen = await serve()
    const setupClient = moduleFrom('module')
    await tunedAutocannon({ ...reconnecting, ...more, setupClient, url: seen.url }, { settings })
    expect([...seen.from]).toEqual(['module'])
    expect(seen.segments).toEqual({ [MSS_AT_SERVER]: 20 })
  })

  it("returns autocannon's own result with a sockets member", async () => {
    const seen = await serve()
    const options = { ...reconnecting, ...more, title: 'shape', url: seen.url }
    const plain = await autocannon(options)
    const { sockets, ...tuned } = await tunedAutocannon(options)
    expect(sockets.created).toBe(20)
    expect(Object.keys(tuned)).toEqual(Object.keys(plain))
    expect(shapeOf(tuned)).toEqual(shapeOf(plain))
  })

  it('ends even if no connection can be made', async () => {
    const seen = await serve()
    const options = { connections: 2, amount: 20, sampleInt: 50, ...more, url: seen.url }
    // This is not an address of this host (RFC 5737), so bind(2) fails at once.
    const result = await tunedAutocannon(options, { source: FOREIGN })
    expect(result.errors).toBeGreaterThan(0)
    const { sockets } = result
    expect(sockets).toMatchObject({ created: 0, broken: 0, closes: noCloses })
    expect(sockets.failed).toBeGreaterThan(0)
    expect(sockets.failures).toEqual({
      EADDRNOTAVAIL: {
        count: sockets.failed,
        message: `bind EADDRNOTAVAIL ${FOREIGN}:0: ${FOREIGN} is not an address of this host`,
      },
    })
  })

  it('reports how many attempts were refused, and why', async () => {
    const port = await freshPort()
    const options = { connections: 2, amount: 20, sampleInt: 50, ...more }
    const { sockets } = await tunedAutocannon({ ...options, url: `127.0.0.1:${String(port)}` })
    expect(sockets).toMatchObject({ created: 0, broken: 0 })
    expect(sockets.failed).toBeGreaterThanOrEqual(2)
    const message = `connect ECONNREFUSED 127.0.0.1:${String(port)}`
    expect(sockets.failures).toEqual({ ECONNREFUSED: { count: sockets.failed, message } })
  })

  it('reports how many attempts timed out', async () => {
    const url = `127.0.0.1:${String(fullListener())}`
    const options = { connections: 2, amount: 4, timeout: 1, sampleInt: 50, ...more, url }
    const { sockets } = await tunedAutocannon(options)
    expect(sockets).toMatchObject({ created: 0, broken: 0 })
    expect(sockets.failed).toBeGreaterThanOrEqual(2)
    expect(sockets.failures).toEqual({
      ETIMEDOUT: {
        count: sockets.failed,
        message: expect.stringMatching(
          /^No answer to the SYN within autocannon's timeout/,
        ) as string,
      },
    })
  })

  it('reports how many attempts were unanswered when the run ended', async () => {
    const url = `127.0.0.1:${String(fullListener())}`
    const options = { connections: 2, duration: 1, sampleInt: 50, ...more, url }
    const { sockets } = await tunedAutocannon(options)
    expect(sockets).toMatchObject({ created: 0, failed: 0, unfinished: 2, failures: {} })
  })

  it('reports how many connections broke, and why', async () => {
    const seen = await serve((response) => {
      response.req.socket.resetAndDestroy()
    })
    const options = { connections: 2, amount: 10, sampleInt: 50, ...more, url: seen.url }
    const { sockets } = await tunedAutocannon(options)
    expect(sockets.failed).toBe(0)
    expect(sockets.broken).toBeGreaterThanOrEqual(2)
    expect(sockets.failures).toEqual({
      ECONNRESET: { count: sockets.broken, message: 'read ECONNRESET' },
    })
  })

  it('leaves no descriptor open', async () => {
    const seen = await serve()
    const before = openDescriptors()
    await tunedAutocannon({ ...reconnecting, ...more, url: seen.url }, { settings })
    await expectNoMoreThan(before)
  })
})

/** Replaces all values by their types. */
function shapeOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Date) return typeof value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shapeOf(inner)]))
}

describe('tunedAutocannon', () => {
  it("calls the caller's own setupClient with each client after it was tuned", async () => {
    const seen = await serve()
    const setupClient = (client: { setHeaders: (headers: object) => void }): void => {
      client.setHeaders({ 'x-from': 'function' })
    }
    await tunedAutocannon({ ...reconnecting, setupClient, url: seen.url }, { settings })
    expect([...seen.from]).toEqual(['function'])
    expect(seen.segments).toEqual({ [MSS_AT_SERVER]: 20 })
  })

  it('calls back, and returns the instance, which emits its events', async () => {
    const seen = await serve()
    const responses = jest.fn()
    const result = await new Promise<Adapter.AutocannonResult>((resolve, reject) => {
      const options = { ...reconnecting, url: seen.url }
      const instance = tunedAutocannon(options, { settings }, (error, outcome) => {
        if (error === null) resolve(outcome)
        else reject(error)
      })
      instance.on('response', responses)
    })
    expect(result.sockets.created).toBe(20)
    expect(responses).toHaveBeenCalledTimes(180)
  })

  it('can be stopped by stop()', async () => {
    const seen = await serve()
    const run = tunedAutocannon({ connections: 2, duration: 3600, sampleInt: 50, url: seen.url })
    run.once('response', () => {
      run.stop()
    })
    expect((await run).sockets).toMatchObject({ created: 2, closes: { ...noCloses, deliver: 2 } })
  })

  it("does not change other connections or Node's functions", async () => {
    const before = [net.connect, tls.connect]
    const seen = await serve()
    const { port } = new URL(seen.url)
    const run = tunedAutocannon({ ...reconnecting, url: seen.url }, { settings })
    const other = net.connect(Number(port), '127.0.0.1')
    closeLater(() => {
      other.destroy()
    })
    await run
    expect([net.connect, tls.connect]).toEqual(before)
    const { [MSS_AT_SERVER]: tuned, ...others } = seen.segments
    expect({ tuned, others: Object.values(others) }).toEqual({ tuned: 20, others: [1] })
  })

  it("leaves TIME_WAIT with close: 'fin', and counts it", async () => {
    const seen = await serve()
    const options = { ...reconnecting, url: seen.url }
    const { sockets } = await tunedAutocannon(options, { close: 'fin' })
    expect(sockets).toMatchObject({ closes: { ...noCloses, fin: 20 }, fallbacks: {} })
  })

  it('releases the addresses of a pool', async () => {
    const seen = await serve()
    const source = new SourcePool(['127.0.0.6'])
    await tunedAutocannon({ ...reconnecting, url: seen.url }, { source })
    const usage = source.usage('127.0.0.1', Number(new URL(seen.url).port))
    expect(usage).toMatchObject([{ open: 0, timeWait: 0 }])
  })

  it('rejects if a worker thread does not find its configuration', async () => {
    const { url } = await serve()
    const other: Adapter.Autocannon = (options: object) =>
      autocannon({ ...options, socketTuner: undefined })
    // autocannon prints the error too.
    const log = jest.spyOn(console, 'log').mockImplementation()
    const run = tunedAutocannon({ ...reconnecting, workers: 1, url }, { autocannon: other })
    await expect(run).rejects.toMatchObject({ code: 'ERR_SOCKET_TUNER_UNSUPPORTED' })
    log.mockRestore()
  })

  it('connects to a unix-domain socket', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'socket-tuner-'))
    closeLater(() => {
      rmSync(folder, { recursive: true })
    })
    const socketPath = path.join(folder, 'http')
    const server = http.createServer((_, response) => response.end('ok')).listen(socketPath)
    closeLater(() => {
      server.close()
      server.closeAllConnections()
    })
    const sizes = new Set<number>()
    const setupClient = (client: { conn: net.Socket }): void => {
      setImmediate(() => sizes.add(getOption(client.conn, 'SO_SNDBUF')))
    }
    const result = await tunedAutocannon(
      { ...reconnecting, url: 'http://localhost', socketPath, setupClient },
      { settings: { SO_SNDBUF: 50_000 } },
    )
    expect([...sizes]).toEqual([100_000])
    expect(result).toMatchObject({ '2xx': 180, errors: 0 })
    // Unix-domain sockets have no TIME_WAIT.
    expect(result.sockets).toMatchObject({ created: 20, fallbacks: { 'not-tcp': 20 } })
  })
})
