/** Contract tests: the assumptions of lib/node/http-agent.ts about the agents of Node's http client, on this release of Node. */
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
  aroundFree,
  followChecks,
  noRequest,
  passToAgent,
  whenLeft,
} from '../../lib/node/http-agent'
import { isKept } from '../../lib/node/http-request'
import { get, keepAliveAgent, keptConnection, serve } from '../helpers/kept-connection'
import { until } from '../helpers/until'
import { closeLater, loopback } from '../sockets'

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
