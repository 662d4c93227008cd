/** Contract tests: the assumptions of lib/node/http-client.ts about Node's http client, on this release of Node. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import * as http from 'node:http'
import * as https from 'node:https'
import * as net from 'node:net'
import type { Duplex } from 'node:stream'
import { handleOf } from '../../lib/node/handle'
import {
  afterAddRequest,
  afterCreateConnection,
  afterFree,
  agentMethodsOf,
  agentPartsOf,
  answerTo,
  aroundFree,
  failWithoutSocket,
  followChecks,
  headOf,
  insteadOfSocket,
  interceptDestroy,
  interceptWrites,
  isKept,
  noRequest,
  passToAgent,
  requestOn,
  takeFromSocket,
  timeoutOf,
  whenLeft,
  type Output,
} from '../../lib/node/http-client'
import { answerAndClose } from '../clients/early-answers'
import { until } from '../helpers/until'
import { closeLater, connectedPair, destroyLater, listen, loopback } from '../sockets'

const MEMBERS = ['socket', 'parser', 'reusedSocket', 'outputData', 'outputSize', 'timeoutCb']

async function serve(
  answer: http.RequestListener = (request, response) => {
    request.resume().on('end', () => response.end('answer'))
  },
): Promise<{ server: http.Server; port: number }> {
  const server = http.createServer({ keepAliveTimeout: 600_000 }, answer)
  closeLater(() => {
    server.closeAllConnections()
  })
  return { server, port: await listen(server) }
}

function keepAliveAgent(): http.Agent {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  closeLater(() => {
    agent.destroy()
  })
  return agent
}

/** Sends a GET request, and resolves with the response after reading it. */
function get(port: number, agent: http.Agent): [http.ClientRequest, Promise<http.IncomingMessage>] {
  const request = http.get({ host: loopback[4], port, agent })
  const answer = once(request, 'response').then(async ([response]) => {
    const message = response as http.IncomingMessage
    await once(message.resume(), 'end')
    return message
  })
  return [request, answer]
}

/** Makes a request, and returns its connection, which the agent keeps. */
async function keptConnection(port: number, agent: http.Agent): Promise<net.Socket> {
  const [request, answer] = get(port, agent)
  const [socket] = (await once(request, 'socket')) as [net.Socket]
  const freed = once(agent, 'free')
  await Promise.all([answer, freed])
  return socket
}

describe('net.Socket#_httpMessage', () => {
  it('is the request until its response is complete, and null while the agent keeps the socket', async () => {
    const { port } = await serve()
    const agent = keepAliveAgent()
    const [request, answer] = get(port, agent)
    const [socket] = (await once(request, 'socket')) as [net.Socket]
    expect(requestOn(socket)).toBe(request)
    expect(isKept(socket)).toBe(false)
    const freed = once(agent, 'free')
    await Promise.all([answer, freed])
    expect((socket as { _httpMessage?: unknown })._httpMessage).toBeNull()
    expect([requestOn(socket), isKept(socket)]).toEqual([undefined, true])
  })

  it('is undefined on a socket without a request', () => {
    const socket = new net.Socket()
    expect([requestOn(socket), isKept(socket)]).toEqual([undefined, false])
  })

  it("is the ended request in the agent's 'free', before the agent's own listener", async () => {
    const { port } = await serve()
    const agent = keepAliveAgent()
    const [request, answer] = get(port, agent)
    const seen: unknown[] = []
    agent.prependListener('free', (socket: Duplex) => seen.push(requestOn(socket)))
    const freed = once(agent, 'free')
    await Promise.all([answer, freed])
    expect(seen).toEqual([request])
  })

  it("is the next request after 'free' if one waited for the socket", async () => {
    const { port } = await serve()
    const agent = keepAliveAgent()
    const [, first] = get(port, agent)
    const [, second] = get(port, agent)
    const kept: boolean[] = []
    agent.on('free', (socket: Duplex) => kept.push(isKept(socket)))
    const freed = first.then(() => once(agent, 'free'))
    await Promise.all([second, freed])
    await until(
      'both were free',
      () => kept,
      ({ length }) => length === 2,
    )
    expect(kept).toEqual([false, true])
  })
})

describe('http.ClientRequest', () => {
  it(`has ${MEMBERS.join(', ')}, which its socket sets`, async () => {
    const { port } = await serve()
    const [request, answer] = get(port, keepAliveAgent())
    const members = request as unknown as Record<string, unknown>
    expect(MEMBERS.filter((name) => !(name in request))).toEqual([])
    expect([members.socket, members.timeoutCb, members.reusedSocket]).toEqual([null, null, false])
    expect([members.outputData, members.outputSize]).toEqual([
      [expect.objectContaining({ data: expect.stringMatching(/^GET \/ HTTP/) as unknown })],
      expect.any(Number),
    ])
    await once(request, 'socket')
    expect(members.parser).toEqual(expect.any(Object))
    await answer
  })

  it('has its head in _header, and its response in res', async () => {
    const { port } = await serve()
    const request = http.request({ host: loopback[4], port, agent: keepAliveAgent() })
    expect([headOf(request), answerTo(request)]).toEqual(['', undefined])
    request.end()
    expect(headOf(request)).toMatch(/^GET \/ HTTP\/1\.1\r\n.*\r\n\r\n$/s)
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    expect(answerTo(request)).toBe(response)
    await once(response.resume(), 'end')
  })

  it('has the value of its option in timeout', () => {
    const agent = keepAliveAgent()
    const of = (options: object): number | undefined => {
      const request = http.request({
        host: loopback[4],
        agent,
        createConnection: () => new net.Socket(),
        ...options,
      })
      request.on('error', () => undefined).destroy()
      return timeoutOf(request)
    }
    expect([of({ timeout: 5_000 }), of({})]).toEqual([5_000, undefined])
  })

  it('receives its socket by onSocket(socket), which can be replaced, after reuseSocket()', async () => {
    const { port } = await serve()
    const agent = keepAliveAgent()
    const socket = await keptConnection(port, agent)
    const diverted: unknown[] = []
    const reuse = agent.reuseSocket.bind(agent)
    agent.reuseSocket = (free, request) => {
      reuse(free, request)
      insteadOfSocket(request, () => {
        diverted.push(request)
        request.onSocket(socket)
      })
    }
    const [request, answer] = get(port, agent)
    expect(diverted).toEqual([request])
    await answer
    expect(diverted).toHaveLength(1)
  })

  it('fails by onSocket(null, error)', async () => {
    const request = http.request({ createConnection: () => new net.Socket() })
    const error = new Error('mine')
    const failed = new Promise((resolve) => request.once('error', resolve))
    failWithoutSocket(request, error)
    expect(await failed).toBe(error)
  })

  it('can be removed from its socket and sent on another one', async () => {
    const silent = net.createServer(destroyLater)
    const silentPort = await listen(silent)
    const { port } = await serve((request, response) => {
      request.pipe(response)
    })
    const agent = new http.Agent()
    const options = { host: loopback[4], port: silentPort, agent, timeout: 600_000 }
    const request = http.request({ ...options, method: 'PUT' })
    Object.assign(request, { reusedSocket: true })
    const failed = jest.fn()
    request.on('error', failed)
    const [socket] = (await once(request, 'socket')) as [net.Socket]
    const output: Output[] = []
    interceptWrites(socket, (data, encoding, callback) => {
      output.push({ data, encoding, callback: undefined })
      return callback
    })
    request.end('body')
    await once(request, 'finish')
    const size = output.reduce((sum, { data }) => sum + data.length, 0)
    expect(size).toBeGreaterThan(0)
    const reported = jest.fn()
    subscribe('http.client.request.error', reported)
    closeLater(() => unsubscribe('http.client.request.error', reported))
    takeFromSocket(request, socket, output, size)
    expect(requestOn(socket)).not.toBe(request)
    const members = request as unknown as Record<string, unknown>
    expect([members.socket, members.parser, members.reusedSocket]).toEqual([null, null, false])
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.destroy()
    await closed
    expect(failed).not.toHaveBeenCalled()
    expect(reported).not.toHaveBeenCalled()
    const other = net.connect(port, loopback[4])
    destroyLater(other)
    request.onSocket(other)
    await once(request, 'socket')
    expect(other.listenerCount('timeout')).toBe(1)
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    const [body] = (await once(response, 'data')) as [Buffer]
    expect(body.toString()).toBe('body')
    expect(requestOn(other)).toBe(request)
  })
})

describe('net.Socket#write', () => {
  it('is called by the http client with (data, encoding, callback)', async () => {
    const { port } = await serve()
    const agent = keepAliveAgent()
    const socket = await keptConnection(port, agent)
    const writes: unknown[][] = []
    const spy = jest.spyOn(socket, 'write')
    interceptWrites(socket, (data, encoding, callback) => {
      writes.push([data, encoding])
      return callback
    })
    const request = http.request({ host: loopback[4], port, agent, method: 'PUT' })
    const written = jest.fn()
    request.end('body', written)
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    await once(response.resume(), 'end')
    expect(writes.length).toBeGreaterThan(0)
    expect(writes[0]?.[0]).toMatch(/^PUT \/ HTTP/)
    for (const [data, encoding] of writes) {
      expect([typeof data, typeof encoding]).not.toContain('function')
    }
    expect(spy.mock.calls.every(({ length }) => length === 3)).toBe(true)
    expect(written).toHaveBeenCalledTimes(1)
  })

  it('accepts (data, callback) from other callers', async () => {
    const { client } = await connectedPair()
    const callbackFor = jest.fn()
    interceptWrites(client, callbackFor)
    await new Promise((resolve) => client.write('data', resolve))
    expect(callbackFor).not.toHaveBeenCalled()
  })
})

describe('net.Socket#destroy', () => {
  it('is called with an error whose syscall and errno show that the connection failed', async () => {
    const { client, accepted } = await connectedPair()
    const errors: unknown[] = []
    interceptDestroy(client, (error) => {
      errors.push(error)
      return error
    })
    client.resume()
    accepted.resetAndDestroy()
    await new Promise((resolve) => client.once('close', resolve))
    expect(errors[0]).toMatchObject({ syscall: 'read', errno: expect.any(Number) as unknown })
  })

  it('emits no error if it is called without one, even though a write has failed', async () => {
    const { client, accepted } = await connectedPair()
    accepted.resume()
    interceptDestroy(client, () => undefined)
    const failed = jest.fn()
    client.on('error', failed)
    answerAndClose(accepted, '', 'a RST', () => undefined)
    client.write('too late')
    await new Promise((resolve) => client.once('close', resolve))
    expect(failed).not.toHaveBeenCalled()
  })
})

describe('http.Agent', () => {
  it("has one listener for 'free', called with (socket, options)", async () => {
    const { port } = await serve()
    const agent = keepAliveAgent()
    expect(agent.listenerCount('free')).toBe(1)
    const calls: unknown[] = []
    aroundFree(
      agent,
      (socket, options) => {
        calls.push(['before', isKept(socket), typeof options])
        return calls.length
      },
      (socket, known) => {
        calls.push(['after', isKept(socket), known])
      },
    )
    expect(agent.listenerCount('free')).toBe(1)
    await keptConnection(port, agent)
    expect(calls).toEqual([
      ['before', false, 'object'],
      ['after', true, 1],
    ])
  })

  it('calls addRequest(request, options), createSocket(request, options, callback) and reuseSocket(socket, request)', async () => {
    const { port } = await serve()
    const calls: unknown[][] = []
    class Watching extends http.Agent {
      addRequest(...args: [http.ClientRequest, http.ClientRequestArgs]): void {
        calls.push(['addRequest', ...args])
        agentMethodsOf(http.Agent).addRequest.apply(this, args)
      }
      createSocket(
        ...args: [http.ClientRequest, http.ClientRequestArgs, (error: Error | null) => void]
      ): void {
        calls.push(['createSocket', ...args])
        agentMethodsOf(http.Agent).createSocket.apply(this, args)
      }
      override reuseSocket(...args: [Duplex, http.ClientRequest]): void {
        calls.push(['reuseSocket', ...args])
        super.reuseSocket(...args)
      }
    }
    const agent = new Watching({ keepAlive: true })
    closeLater(() => {
      agent.destroy()
    })
    const socket = await keptConnection(port, agent)
    const [request, answer] = get(port, agent)
    await answer
    const options = expect.objectContaining({ port }) as unknown
    expect(calls).toEqual([
      ['addRequest', expect.any(http.ClientRequest), options],
      ['createSocket', expect.any(http.ClientRequest), options, expect.any(Function)],
      ['addRequest', request, options],
      ['reuseSocket', socket, request],
    ])
  })

  it('uses the same getName() in addRequest() and createSocket()', async () => {
    const { port } = await serve()
    const agent = keepAliveAgent()
    const names = jest.spyOn(agent, 'getName')
    await keptConnection(port, agent)
    const [name] = names.mock.results.map(({ value }) => value as string)
    expect(names.mock.results.map(({ value }) => value as string)).toEqual(
      Array(names.mock.results.length).fill(name),
    )
    expect(Object.keys(agentPartsOf(agent).freeSockets)).toEqual([name])
  })

  it('keeps its connections and waiting requests by name in sockets, freeSockets and requests', async () => {
    const { port } = await serve()
    const agent = keepAliveAgent()
    const { sockets, freeSockets, requests, keepAlive, options } = agentPartsOf(agent)
    expect([keepAlive, options.keepAlive]).toEqual([true, true])
    const [request, first] = get(port, agent)
    const [waiting, second] = get(port, agent)
    const [socket] = (await once(request, 'socket')) as [net.Socket]
    expect(Object.values(sockets)).toEqual([[socket]])
    expect(Object.values(requests)).toEqual([[waiting]])
    await Promise.all([first, second])
    await until(
      'the connection is kept',
      () => Object.values(freeSockets),
      ({ length }) => length === 1,
    )
    expect(Object.values(freeSockets)).toEqual([[socket]])
    expect([Object.values(sockets), Object.values(requests)]).toEqual([[], []])
  })

  it("calls later listeners for 'free' after its own has decided", async () => {
    const { port } = await serve()
    const agent = keepAliveAgent()
    const kept: [socket: Duplex, isKept: boolean][] = []
    afterFree(agent, (socket) => kept.push([socket, isKept(socket)]))
    const socket = await keptConnection(port, agent)
    expect(kept).toEqual([[socket, true]])
  })

  it('makes its connections with its method createConnection(options, callback)', async () => {
    const { port } = await serve()
    const agent = keepAliveAgent()
    const made: unknown[] = []
    afterCreateConnection(agent, (stream) => made.push(stream))
    const socket = await keptConnection(port, agent)
    expect(made).toEqual([socket])
  })

  it('can call a function after each addRequest()', async () => {
    const { port } = await serve()
    const agent = keepAliveAgent()
    const called = jest.fn()
    afterAddRequest(agent, called)
    await keptConnection(port, agent)
    expect(called).toHaveBeenCalledTimes(1)
  })

  it('can open a connection without a request, and keep it idle', async () => {
    const { port } = await serve()
    const agent = keepAliveAgent()
    const parts = agentPartsOf(agent)
    const destination = { host: loopback[4], port, path: null, servername: '' }
    const made: unknown[] = []
    parts.createSocket(noRequest, destination, (...result) => made.push(...result))
    const [failure, stream] = made
    expect(failure).toBeNull()
    if (!(stream instanceof net.Socket)) throw new Error('the agent made no socket')
    const socket = stream
    await once(socket, 'connect')
    expect(parts.totalSocketCount).toBe(1)
    expect(Object.values(parts.sockets)).toEqual([[socket]])
    passToAgent(socket)
    expect(parts.sockets).toEqual({})
    expect(Object.values(parts.freeSockets)).toEqual([[socket]])
    expect(isKept(socket)).toBe(true)
    expect(await keptConnection(port, agent)).toBe(socket)
    const { maxSockets, maxFreeSockets, maxTotalSockets, protocol, defaultPort } = parts
    expect({ maxSockets, maxFreeSockets, maxTotalSockets, protocol, defaultPort }).toEqual({
      maxSockets: 1,
      maxFreeSockets: 256,
      maxTotalSockets: Infinity,
      protocol: 'http:',
      defaultPort: 80,
    })
  })

  it("drops a connection that emits 'agentRemove', as for an upgrade", async () => {
    const { server, port } = await serve()
    server.on('upgrade', (_request, socket: net.Socket) => {
      socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n')
    })
    const headers = { Connection: 'upgrade', Upgrade: 'chat' }
    const request = http.get({ host: loopback[4], port, agent: keepAliveAgent(), headers })
    const [socket] = (await once(request, 'socket')) as [net.Socket]
    const left = jest.fn()
    whenLeft(socket, left)
    await once(request, 'upgrade')
    expect(left).toHaveBeenCalledTimes(1)
    socket.destroy()
  })
})

describe('https.Agent', () => {
  it('inherits addRequest() and createSocket(), and has its own createConnection()', () => {
    const [plain, secure] = [agentMethodsOf(http.Agent), agentMethodsOf(https.Agent)]
    const isSame = (name: keyof typeof plain): boolean => secure[name] === plain[name]
    expect([isSame('addRequest'), isSame('createSocket'), isSame('createConnection')]).toEqual([
      true,
      true,
      false,
    ])
  })
})

describe('TCP#hasPendingRead', () => {
  it('is called by http.Agent before it reuses a connection, if the handle has it', async () => {
    const { port } = await serve()
    const agent = keepAliveAgent()
    const socket = await keptConnection(port, agent)
    const handle = handleOf(socket) as unknown as Record<string, (() => boolean) | undefined>
    const { hasPendingRead } = handle
    const looks = jest.fn(() => hasPendingRead?.call(handle) ?? false)
    if (hasPendingRead !== undefined) handle.hasPendingRead = looks
    const foundDead = jest.fn()
    expect(followChecks(socket, foundDead)).toBe(hasPendingRead !== undefined)
    await get(port, agent)[1]
    expect(looks.mock.calls.length > 0).toBe(hasPendingRead !== undefined)
    expect(foundDead).not.toHaveBeenCalled()
  })
})
