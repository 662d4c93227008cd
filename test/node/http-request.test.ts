/** Contract tests: the assumptions of lib/node/http-request.ts about a request of Node's http client, on this release of Node. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import * as http from 'node:http'
import * as net from 'node:net'
import type { Duplex } from 'node:stream'
import {
  answerTo,
  failWithoutSocket,
  headOf,
  insteadOfSocket,
  isKept,
  requestOn,
  takeFromSocket,
  timeoutOf,
} from '../../lib/node/http-request'
import { interceptWrites, type Write } from '../../lib/node/intercept'
import { get, keepAliveAgent, keptConnection, serve } from '../helpers/kept-connection'
import { until } from '../helpers/until'
import { closeLater, destroyLater, listen, loopback } from '../sockets'

const MEMBERS = ['socket', 'parser', 'reusedSocket', 'outputData', 'outputSize', 'timeoutCb']

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
    const output: Write[] = []
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
