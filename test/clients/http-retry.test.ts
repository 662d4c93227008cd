import { AsyncLocalStorage } from 'node:async_hooks'
import { once } from 'node:events'
import * as http from 'node:http'
import type * as net from 'node:net'
import { constants } from 'node:os'
import { TunedAgent, type TunedAgentOptions } from '../../lib/clients/http'
import { expectNoMoreThan, openDescriptors } from '../connect/descriptors'
import { coded } from '../helpers/coded'
import {
  answer,
  type Asked,
  failures,
  firstOnly,
  type ScriptedServer,
} from '../helpers/scripted-server'
import { until } from '../helpers/until'
import {
  ask,
  begin,
  expectNothingLeft,
  held,
  serve,
  use,
  type Question,
  untilClosed,
} from './asking'

const byReset = failures['a RST']

/** Makes an agent with an idle connection to a server. */
async function withIdle(
  server: ScriptedServer,
  options: TunedAgentOptions = {},
): Promise<TunedAgent> {
  const agent = use(new TunedAgent(options))
  await ask(server, agent)
  return agent
}

/** Returns the only idle connection. */
function idleOf(agent: TunedAgent): net.Socket {
  const [[socket] = []] = Object.values(agent.freeSockets)
  if (socket === undefined) throw new Error('there is no idle connection')
  return socket
}

/** Returns the server's end of the first connection. */
function accepted({ sockets: [socket] }: ScriptedServer): net.Socket {
  if (socket === undefined) throw new Error('there is no connection')
  return socket
}

function seen(server: ScriptedServer): [Asked['method'], string, number][] {
  return server.asked.map(({ method, body, connection }) => [method, body, connection])
}

const retried = { created: 2, reused: 1, deadBeforeReuse: 0, retried: 1 }

describe.each(Object.entries(failures))(
  'a request whose connection ends with %s',
  (_what, fail) => {
    it.each(['GET', 'OPTIONS', 'TRACE', 'DELETE', 'PUT'])(
      'is resent on a fresh connection (%s)',
      async (method) => {
        const server = await serve(firstOnly(fail))
        const agent = await withIdle(server)
        const { body, events, request } = await ask(server, agent, { method })
        expect(body).toBe('answer')
        expect(events).toEqual(['socket', 'finish', 'socket', 'response', 'close'])
        expect(request.reusedSocket).toBe(false)
        expect(seen(server)).toEqual([
          ['GET', '', 1],
          [method, '', 1],
          [method, '', 2],
        ])
        expect(agent.counters()).toMatchObject(retried)
        expect(held(agent)).toEqual({ busy: 0, idle: 1, waiting: 0, total: 1 })
        await expectNothingLeft(agent, server)
      },
    )

    it('is resent if it is a HEAD request', async () => {
      const server = await serve((socket, { method, nth }) => {
        if (nth === 2) fail(socket)
        else if (method === 'HEAD') socket.write('HTTP/1.1 204 No Content\r\n\r\n')
        else answer(socket)
      })
      const agent = await withIdle(server)
      await ask(server, agent, { method: 'HEAD' })
      expect(agent.counters()).toMatchObject(retried)
    })

    it.each<[string, Question]>([
      ['in one piece', { body: 'something' }],
      ['in pieces', { body: ['some', Buffer.from('thing')] }],
      ['of a known length', { body: ['some', 'thing'], headers: { 'content-length': 9 } }],
    ])('is resent with its body (%s)', async (_form, question) => {
      const server = await serve(firstOnly(fail))
      const agent = await withIdle(server)
      const { events } = await ask(server, agent, { method: 'PUT', ...question })
      expect(events.filter((event) => event === 'finish')).toHaveLength(1)
      expect(seen(server).slice(1)).toEqual([
        ['PUT', 'something', 1],
        ['PUT', 'something', 2],
      ])
      expect(agent.counters()).toMatchObject(retried)
    })

    it.each(['POST', 'PATCH'])('is not resent (%s)', async (method) => {
      const server = await serve(firstOnly(fail))
      const agent = await withIdle(server)
      const { answer: answered, events } = begin(server, agent, { method, body: 'once' })
      await expect(answered).rejects.toEqual(coded('ECONNRESET'))
      await untilClosed(events)
      expect(events).toEqual(['socket', 'finish', 'error', 'close'])
      expect(seen(server)).toHaveLength(2)
      expect(agent.counters()).toMatchObject({ created: 1, reused: 1, retried: 0 })
      await expectNothingLeft(agent, server)
    })

    it.each<[string, Question, TunedAgentOptions]>([
      ['with retry: false', {}, { retry: false }],
      ['with Expect: 100-continue', { method: 'PUT', headers: { expect: '100-continue' } }, {}],
      ['with Upgrade', { headers: { connection: 'upgrade', upgrade: 'foo' } }, {}],
      ['with a large body', { method: 'PUT', body: 'x'.repeat(65_537) }, {}],
    ])('is not resent %s', async (_what, question, options) => {
      const server = await serve(firstOnly(fail))
      const agent = await withIdle(server, options)
      await expect(ask(server, agent, question)).rejects.toEqual(coded('ECONNRESET'))
      expect(seen(server)).toHaveLength(2)
      expect(agent.counters()).toMatchObject({ created: 1, retried: 0 })
      await expectNothingLeft(agent, server)
    })

    it('is resent only once', async () => {
      const server = await serve((socket, { connection, nth }) => {
        if (connection === 1 && nth === 1) answer(socket)
        else fail(socket)
      })
      const agent = await withIdle(server)
      const { answer: answered, events } = begin(server, agent)
      await expect(answered).rejects.toEqual(coded('ECONNRESET'))
      await untilClosed(events)
      expect(events.filter((event) => event === 'error')).toHaveLength(1)
      expect(seen(server).map(([, , connection]) => connection)).toEqual([1, 1, 2])
      expect(agent.counters()).toMatchObject(retried)
      await expectNothingLeft(agent, server)
    })

    it('is not resent if the connection was fresh', async () => {
      const server = await serve((socket) => fail(socket))
      const agent = use(new TunedAgent())
      await expect(ask(server, agent)).rejects.toEqual(coded('ECONNRESET'))
      expect(agent.counters()).toMatchObject({ created: 1, retried: 0 })
    })

    it('is not resent after the beginning of a response', async () => {
      const server = await serve(
        firstOnly((socket) => {
          socket.write('HTTP/1.1 200 OK\r\n')
        }),
      )
      const agent = await withIdle(server)
      const before = idleOf(agent).bytesRead
      const socket = idleOf(agent)
      const { answer: answered } = begin(server, agent)
      await until(
        'it has begun',
        () => socket.bytesRead,
        (bytes) => bytes > before,
      )
      fail(accepted(server))
      await expect(answered).rejects.toEqual(coded('ECONNRESET'))
      expect(agent.counters()).toMatchObject({ created: 1, retried: 0 })
    })

    it('is resent before the waiting requests are sent', async () => {
      const server = await serve(firstOnly(fail))
      const agent = await withIdle(server, { maxSockets: 1 })
      const paths = ['/1', '/2', '/3']
      await Promise.all(paths.map((path) => ask(server, agent, { path })))
      // Each of them fails once, on the connection of the previous response.
      const asked = server.asked.slice(1).map(({ path, connection }) => [path, connection])
      expect(asked).toEqual([
        ['/1', 1],
        ['/1', 2],
        ['/2', 2],
        ['/2', 3],
        ['/3', 3],
        ['/3', 4],
      ])
      expect(agent.counters()).toMatchObject({ created: 4, reused: 3, retried: 3 })
      await expectNothingLeft(agent, server)
    })

    it('is resent in its original async context', async () => {
      const server = await serve(firstOnly(fail))
      const agent = await withIdle(server)
      const context = new AsyncLocalStorage<string>()
      const request = context.run('mine', () => begin(server, agent).request)
      const [response] = await Promise.all([
        new Promise((resolve) => {
          request.on('response', () => {
            resolve(context.getStore())
          })
        }),
        once(request, 'close'),
      ])
      expect(response).toBe('mine')
      expect(agent.counters().retried).toBe(1)
    })
  },
)

describe('a request that is being resent', () => {
  /** Calls `act` after the first connection has failed and before the request has another one. */
  function inBetween(request: http.ClientRequest, act: () => void): void {
    request.once('socket', (socket) => socket.once('end', act))
  }

  it.each<[string, (request: http.ClientRequest) => void, object]>([
    ['destroy()', (request) => request.destroy(), coded('ECONNRESET')],
    ['destroy(error)', (request) => request.destroy(new Error('mine')), new Error('mine')],
  ])('can be ended by %s', async (_what, giveUp, error) => {
    const server = await serve(firstOnly((socket) => socket.end()))
    const agent = await withIdle(server)
    const { request, answer: answered, events } = begin(server, agent)
    inBetween(request, () => {
      giveUp(request)
    })
    await expect(answered).rejects.toEqual(error)
    await untilClosed(events)
    expect(events).toEqual(['socket', 'finish', 'error', 'close'])
    expect(agent.counters()).toMatchObject({ created: 1, retried: 0 })
    await expectNothingLeft(agent, server)
  })

  it.each([
    ['before it is sent again', true],
    ['after it was sent again', false],
  ])('can be aborted by a signal %s', async (_when, early) => {
    const controller = new AbortController()
    const abort = (): void => {
      controller.abort()
    }
    const server = await serve((socket, { connection, nth }) => {
      if (connection === 2) abort()
      else if (nth === 1) answer(socket)
      else socket.end()
    })
    const agent = await withIdle(server)
    const { request, answer: answered } = begin(server, agent, { signal: controller.signal })
    if (early) inBetween(request, abort)
    await expect(answered).rejects.toMatchObject({ name: 'AbortError', code: 'ABORT_ERR' })
    expect(agent.counters().retried).toBe(early ? 0 : 1)
    await expectNothingLeft(agent, server)
  })

  it('fails if its agent is destroyed', async () => {
    const server = await serve(firstOnly((socket) => socket.end()))
    const agent = await withIdle(server)
    const { request, answer: answered, events } = begin(server, agent)
    inBetween(request, () => {
      agent.destroy()
    })
    await expect(answered).rejects.toEqual(coded('ECONNRESET'))
    expect(events.filter((event) => event === 'error')).toHaveLength(1)
    expect(agent.counters()).toMatchObject({ created: 1, retried: 0 })
    await expectNothingLeft(agent, server)
  })

  it.each<[string, (request: http.ClientRequest) => unknown, Question, TunedAgentOptions]>([
    ['its own', () => undefined, { timeout: 400 }, {}],
    ['set later', (request) => request.setTimeout(400), {}, {}],
    ["its agent's", () => undefined, {}, { timeout: 400 }],
  ])('keeps its timeout (%s)', async (_whose, set, question, options) => {
    const server = await serve((socket, { connection, nth }) => {
      if (connection === 2) return
      if (nth === 1) answer(socket)
      else socket.end()
    })
    const agent = await withIdle(server, options)
    const { request, answer: answered } = begin(server, agent, question)
    request.once('socket', () => set(request))
    // On a slow machine the first connection may time out too.
    await until(
      'the second connection has timed out',
      () => once(request, 'timeout').then(() => agent.counters().retried),
      (count) => count === 1,
    )
    expect(agent.counters()).toMatchObject(retried)
    request.destroy()
    await expect(answered).rejects.toEqual(coded('ECONNRESET'))
    await expectNothingLeft(agent, server)
  })

  it('sends data that is written in the meantime', async () => {
    const server = await serve(firstOnly())
    const agent = await withIdle(server)
    const request = http.request({ port: server.port, host: '127.0.0.1', agent, method: 'PUT' })
    request.on('socket', (socket) => {
      const destroy = socket.destroy.bind(socket)
      if (agent.counters().created === 1) {
        socket.destroy = (error) => {
          destroy(error)
          if (error !== undefined) request.write('between ')
          return socket
        }
      }
      socket.on('error', () => request.end('after'))
      accepted(server).once('data', byReset.bind(undefined, accepted(server)))
    })
    request.write('before ')
    await once(request, 'close')
    expect(server.asked.at(-1)?.body).toBe('before between after')
    expect(agent.counters()).toMatchObject(retried)
  })

  it('is sent unchanged if its head was flushed before its body', async () => {
    const server = await serve(firstOnly())
    const agent = await withIdle(server)
    const request = http.request({ port: server.port, host: '127.0.0.1', agent, method: 'PUT' })
    request.setHeader('x-name', 'J\u00fcrgen')
    request.flushHeaders()
    await once(request, 'socket')
    request.write('some')
    request.end('thing')
    await once(request, 'close')
    const [, first, second] = server.asked
    expect(second).toEqual({ ...first, connection: 2, nth: 1 })
    expect(second).toMatchObject({ method: 'PUT', body: 'something' })
    expect(agent.counters()).toMatchObject(retried)
  })

  it.each<[string, (request: http.ClientRequest, told: (error: unknown) => void) => void]>([
    ['of end()', (request, told) => request.end(told)],
    [
      'of an empty write()',
      (request, told) => {
        request.write('', told)
        request.end()
      },
    ],
  ])('calls the callback %s once, and without an error', async (_which, send) => {
    const server = await serve((socket) => {
      answer(socket)
    })
    const agent = await withIdle(server)
    const handle = (idleOf(agent) as unknown as { _handle: object })._handle
    const fails = (): number => -constants.errno.EPIPE
    Object.assign(handle, { writeLatin1String: fails, writev: fails })
    const told: unknown[] = []
    const events: string[] = []
    const request = http.request({ port: server.port, host: '127.0.0.1', agent })
    request.on('finish', () => events.push('finish'))
    request.on('response', (response) => response.resume())
    send(request, (error) => told.push(error ?? undefined))
    await once(request, 'close')
    expect(told).toEqual([undefined])
    expect(events).toEqual(['finish'])
    expect(seen(server)).toEqual([
      ['GET', '', 1],
      ['GET', '', 2],
    ])
    expect(agent.counters()).toMatchObject(retried)
  })

  it('calls the callback of each write() once, and without an error', async () => {
    const server = await serve(firstOnly())
    const agent = await withIdle(server)
    const request = http.request({ port: server.port, host: '127.0.0.1', agent, method: 'PUT' })
    const told: [string, unknown][] = []
    for (const part of ['one', 'two', 'three']) {
      request.write(part, (error) => told.push([part, error ?? undefined]))
    }
    request.end(() => told.push(['end', undefined]))
    await once(request, 'close')
    expect(told).toEqual([
      ['one', undefined],
      ['two', undefined],
      ['three', undefined],
      ['end', undefined],
    ])
    expect(agent.counters()).toMatchObject(retried)
  })

  it('sends the data as it was written, even if the buffer was reused', async () => {
    const server = await serve(firstOnly())
    const agent = await withIdle(server)
    const request = http.request({ port: server.port, host: '127.0.0.1', agent, method: 'PUT' })
    const buffer = Buffer.from('first')
    request.write(buffer, () => {
      buffer.write('later')
      request.end()
    })
    await once(request, 'close')
    expect(seen(server).slice(1)).toEqual([
      ['PUT', 'first', 1],
      ['PUT', 'first', 2],
    ])
  })

  it('leaves no descriptor open after many requests', async () => {
    const server = await serve()
    const agent = use(new TunedAgent())
    const before = openDescriptors()
    const many = (): Promise<unknown> =>
      Promise.all(Array.from({ length: 50 }, () => ask(server, agent)))
    await many()
    server.script = firstOnly()
    await many()
    expect(agent.counters()).toMatchObject({ created: 100, reused: 50, retried: 50 })
    expect(held(agent)).toEqual({ busy: 0, idle: 50, waiting: 0, total: 50 })
    await expectNothingLeft(agent, server)
    await expectNoMoreThan(before)
  })
})

describe('a request whose connection is closed on this side', () => {
  it.each<[string, (socket: net.Socket) => unknown]>([
    ['by the program', (socket) => socket.destroy()],
    ['by the program, with an error', (socket) => socket.destroy(new Error('mine'))],
    ['by a reset', (socket) => socket.resetAndDestroy()],
  ])('is not resent (%s)', async (_how, close) => {
    const server = await serve(firstOnly(() => undefined))
    const agent = await withIdle(server)
    const { request, answer: answered } = begin(server, agent)
    request.once('socket', close)
    await expect(answered).rejects.toThrow(/hang up|mine/)
    expect(agent.counters()).toMatchObject({ created: 1, retried: 0 })
    await expectNothingLeft(agent, server)
  })

  it('is not resent if the agent no longer manages the connection', async () => {
    const server = await serve(firstOnly())
    const agent = await withIdle(server)
    const { request, answer: answered } = begin(server, agent)
    request.once('socket', (socket) => socket.emit('agentRemove'))
    await expect(answered).rejects.toEqual(coded('ECONNRESET'))
    expect(agent.counters()).toMatchObject({ created: 1, retried: 0 })
    await expectNothingLeft(agent, server)
  })
})
