/** Contract tests: the assumptions of lib/node/http-connections.ts about Node's http servers, on this release of Node. */
import { once } from 'node:events'
import * as http from 'node:http'
import * as http2 from 'node:http2'
import * as https from 'node:https'
import * as net from 'node:net'
import * as tls from 'node:tls'
import { promisify } from 'node:util'
import {
  awaitedAnswers,
  httpConnections,
  isBeingRead,
  quietConnections,
  stopChecking,
  stopListening,
} from '../../lib/node/http-connections'
import { makeCertificate } from '../helpers/certificate'
import { until } from '../helpers/until'
import { closeLater, destroyLater, listen } from '../sockets'

const certificate = makeCertificate()
const REQUEST = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'
const immediate = promisify(setImmediate)
const MORE_THAN_BUFFERS = 64 * 2 ** 20

const kinds: [string, (serve?: http.RequestListener) => net.Server][] = [
  ['http', (serve) => http.createServer(serve)],
  ['https', (serve) => https.createServer(certificate, serve)],
  [
    'http2 with allowHTTP1',
    (serve) =>
      http2.createSecureServer(
        { ...certificate, allowHTTP1: true },
        serve as unknown as (
          request: http2.Http2ServerRequest,
          response: http2.Http2ServerResponse,
        ) => void,
      ),
  ],
]

interface Counts {
  idle: number
  unused: number
}

function countsOf(server: net.Server): Counts | undefined {
  const quiet = quietConnections(server)
  return quiet && { idle: quiet.idle.length, unused: quiet.unused.length }
}

async function untilCounts(server: net.Server, expected: Counts): Promise<void> {
  await until(
    `the server has ${JSON.stringify(expected)}`,
    () => countsOf(server),
    (counts) => counts?.idle === expected.idle && counts.unused === expected.unused,
  )
}

/** Makes a client's connection, and waits for the TLS handshake if there is one. */
async function connect(server: net.Server): Promise<net.Socket> {
  const port = server.listening ? (server.address() as net.AddressInfo).port : await listen(server)
  const to = { port, host: '127.0.0.1' }
  const isPlain = server instanceof http.Server && !(server instanceof https.Server)
  const accepted = once(server, isPlain ? 'connection' : 'secureConnection')
  const client = isPlain
    ? net.connect(to)
    : tls.connect({ ...to, ca: certificate.cert, servername: 'localhost' })
  destroyLater(client)
  const [socket] = (await accepted) as [net.Socket]
  destroyLater(socket)
  return client
}

function answer(_request: http.IncomingMessage, response: http.ServerResponse): void {
  response.end('answer')
}

describe.each(kinds)('the connections of a server (%s)', (_, create) => {
  it('are unused before their first request, and idle after its response', async () => {
    const server = create(answer)
    const client = await connect(server)
    await untilCounts(server, { idle: 0, unused: 1 })
    client.write(REQUEST)
    await once(client, 'data')
    await untilCounts(server, { idle: 1, unused: 0 })
    const [socket] = quietConnections(server)?.idle ?? []
    expect(socket?.remotePort).toBe(client.localPort)
  })

  it('are neither unused nor idle while a request waits for its response', async () => {
    const server = create()
    const client = await connect(server)
    const requested = once(server, 'request') as Promise<[unknown, http.ServerResponse]>
    client.write(REQUEST)
    const [, response] = await requested
    expect(countsOf(server)).toEqual({ idle: 0, unused: 0 })
    response.end()
    await untilCounts(server, { idle: 1, unused: 0 })
  })

  it('are neither unused nor idle while a later request is incomplete', async () => {
    const server = create(answer)
    const client = await connect(server)
    client.write(REQUEST + REQUEST.slice(0, -2))
    await once(client, 'data')
    // The server reads both heads at once.
    await immediate()
    expect(countsOf(server)).toEqual({ idle: 0, unused: 0 })
    client.write('\r\n')
    await untilCounts(server, { idle: 1, unused: 0 })
  })

  it('are neither unused nor idle while a response waits for a slow reader', async () => {
    const server = create((_request, response) => response.end(Buffer.alloc(MORE_THAN_BUFFERS)))
    const client = await connect(server)
    client.pause()
    const requested = once(server, 'request') as Promise<[http.IncomingMessage]>
    client.write(REQUEST)
    const [{ socket }] = await requested
    await until(
      'the answer fills the kernel',
      () => socket.writableLength,
      (bytes) => bytes > 0,
    )
    await immediate()
    expect(countsOf(server)).toEqual({ idle: 0, unused: 0 })
    client.resume()
    await untilCounts(server, { idle: 1, unused: 0 })
  })

  it('are neither unused nor idle after they were closed', async () => {
    const server = create(answer)
    const client = await connect(server)
    client.write(REQUEST)
    await untilCounts(server, { idle: 1, unused: 0 })
    client.destroy()
    await untilCounts(server, { idle: 0, unused: 0 })
  })
})

describe.each(kinds)('the responses that a server (%s) has not begun', (_, create) => {
  it('are those without a sent head, one for the newest request of each connection', async () => {
    const responses: http.ServerResponse[] = []
    const server = create((_request, response) => responses.push(response))
    const client = await connect(server)
    expect(httpConnections(server)).toHaveLength(1)
    expect(awaitedAnswers(server)).toEqual([])
    client.write(REQUEST)
    await until(
      'the request is there',
      () => responses.length,
      (count) => count === 1,
    )
    expect(awaitedAnswers(server)).toEqual(responses)
    responses[0]?.write('a part')
    expect(awaitedAnswers(server)).toEqual([])
    responses[0]?.end()
    await untilCounts(server, { idle: 1, unused: 0 })
    expect(awaitedAnswers(server)).toEqual([])
  })

  it('do not include a connection on which another request waits', async () => {
    const responses: http.ServerResponse[] = []
    const server = create((_request, response) => responses.push(response))
    const client = await connect(server)
    client.write(REQUEST + REQUEST)
    await until(
      'both requests are there',
      () => responses.length,
      (count) => count === 2,
    )
    expect(awaitedAnswers(server)).toEqual([])
    responses[0]?.end()
    await until(
      'the second one is next',
      () => awaitedAnswers(server),
      ({ length }) => length === 1,
    )
    expect(awaitedAnswers(server)).toEqual([responses[1]])
    responses[1]?.end()
  })
})

describe("a server's list under the symbol described as 'http.server.connections'", () => {
  it('returns parsers from all() and idle(), each with its socket', async () => {
    const server = http.createServer(answer)
    const accepted = once(server, 'connection')
    const client = await connect(server)
    const [socket] = (await accepted) as [net.Socket]
    client.write(REQUEST)
    await once(client, 'data')
    const [key] = Object.getOwnPropertySymbols(server).filter(
      ({ description }) => description === 'http.server.connections',
    )
    if (key === undefined) throw new Error('there is no such symbol')
    const list = (server as unknown as Record<symbol, Record<'all' | 'idle', () => object[]>>)[key]
    expect(list?.all()).toEqual([expect.objectContaining({ socket })])
    await until(
      'the connection is idle',
      () => list?.idle() ?? [],
      ({ length }) => length === 1,
    )
    expect((socket as unknown as { parser: unknown }).parser).toBe(list?.idle()[0])
  })

  it('has sockets whose _httpMessage is null between requests', async () => {
    const server = http.createServer()
    const accepted = once(server, 'connection')
    const requested = once(server, 'request') as Promise<[unknown, http.ServerResponse]>
    const client = await connect(server)
    const [socket] = (await accepted) as [net.Socket]
    const message = (): unknown => (socket as { _httpMessage?: unknown })._httpMessage
    client.write(REQUEST)
    const [, response] = await requested
    expect(message()).toBe(response)
    response.end('answer')
    await once(client, 'data')
    expect(message()).toBeNull()
  })
})

describe('an upgraded connection', () => {
  it('is neither unused nor idle', async () => {
    const server = http.createServer()
    const upgraded = once(server, 'upgrade') as Promise<[unknown, net.Socket]>
    const client = await connect(server)
    client.write(REQUEST.replace('Host', 'Connection: upgrade\r\nUpgrade: chat\r\nHost'))
    const [, socket] = await upgraded
    socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n')
    await once(client, 'data')
    expect(countsOf(server)).toEqual({ idle: 0, unused: 0 })
  })
})

describe('the reading of a connection', () => {
  /** Returns the accepted socket of a POST whose body has `announced` bytes, of which some have arrived. */
  async function posting(
    announced: number,
    serve: http.RequestListener,
  ): Promise<{ client: net.Socket; socket: net.Socket }> {
    const server = http.createServer(serve)
    const accepted = once(server, 'connection')
    const requested = once(server, 'request')
    const client = await connect(server)
    client.write(
      `POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${String(announced)}\r\n\r\n`,
    )
    const [socket] = (await accepted) as [net.Socket]
    await requested
    return { client, socket }
  }

  it('is reported by `readableFlowing` of a plain socket', async () => {
    const server = net.createServer()
    const client = net.connect(await listen(server), '127.0.0.1')
    destroyLater(client)
    const [socket] = (await once(server, 'connection')) as [net.Socket]
    destroyLater(socket)
    const states = [isBeingRead(socket)]
    socket.resume()
    states.push(isBeingRead(socket))
    socket.pause()
    states.push(isBeingRead(socket))
    expect(states).toEqual([false, true, false])
  })

  it('is reported by net.Socket#parser.incoming.complete while a request is incomplete', async () => {
    const { client, socket } = await posting(4, (request, response) => {
      request.resume().on('end', () => response.end('answer'))
    })
    const { parser } = socket as unknown as { parser: { incoming: { complete: boolean } } }
    expect(parser.incoming.complete).toBe(false)
    expect(isBeingRead(socket)).toBe(false)
    client.write('body')
    await once(client, 'data')
    expect(isBeingRead(socket)).toBe(true)
  })

  it('is reported by net.Socket#_paused while responses to pipelined requests pile up', async () => {
    const server = http.createServer((_request, response) => {
      response.end(Buffer.alloc(MORE_THAN_BUFFERS))
    })
    const accepted = once(server, 'connection')
    const client = await connect(server)
    const [socket] = (await accepted) as [net.Socket]
    const isPaused = (): unknown => (socket as { _paused?: unknown })._paused
    expect([isPaused(), isBeingRead(socket)]).toEqual([false, true])
    client.write(REQUEST + REQUEST + REQUEST)
    await until('the server stops', isPaused, Boolean)
    expect(isBeingRead(socket)).toBe(false)
    // The server undoes this one tick later.
    socket.resume()
    expect([socket.readableFlowing, isBeingRead(socket)]).toEqual([true, false])
  })
})

describe('net.Server.prototype.close', () => {
  it('closes an http server but not its idle connections, unlike http.Server#close()', async () => {
    const server = http.createServer(answer)
    const client = await connect(server)
    client.write(REQUEST)
    await untilCounts(server, { idle: 1, unused: 0 })
    const closed = jest.fn()
    stopListening(server, closed)
    expect(server.listening).toBe(false)
    client.write(REQUEST)
    await once(client, 'data')
    expect(closed).not.toHaveBeenCalled()
    client.destroy()
    await until(
      'the server is closed',
      () => closed.mock.calls.length,
      (calls) => calls === 1,
    )
  })
})

describe("a server's value under the symbol described as 'http.server.connectionsCheckingInterval'", () => {
  it('is the timer that http.Server#close() ends', async () => {
    const server = http.createServer(answer)
    await listen(server)
    const key = Object.getOwnPropertySymbols(server).find(
      ({ description }) => description === 'http.server.connectionsCheckingInterval',
    )
    if (key === undefined) throw new Error('there is no such symbol')
    const timer = (server as unknown as Record<symbol, object>)[key]
    const cleared = jest.spyOn(globalThis, 'clearInterval')
    try {
      stopChecking(server)
      expect(cleared.mock.calls).toEqual([[timer]])
      expect(timer).toMatchObject({ _destroyed: true })
    } finally {
      cleared.mockRestore()
    }
  })
})

describe('a server of another protocol', () => {
  it('has no such list', async () => {
    const server = net.createServer(destroyLater)
    closeLater(() => {
      server.close()
    })
    await listen(server)
    expect(quietConnections(server)).toBeUndefined()
    expect([httpConnections(server), awaitedAnswers(server)]).toEqual([[], []])
    stopChecking(server)
  })
})
