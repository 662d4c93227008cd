/** Contract tests: the assumptions of lib/clients/undici/parts.ts about undici, for each supported release. */
import * as net from 'node:net'
import type { ConnectFunction } from '../../lib/clients/undici'
import {
  bodyBytes,
  followRequests,
  InformationalError,
  isIdleTimeout,
  isInputEnd,
  keepAliveOf,
  type UndiciRequest,
} from '../../lib/clients/undici/parts'
import { interceptDestroy, interceptWrites } from '../../lib/node/intercept'
import { followReferences } from '../../lib/node/references'
import { answer } from '../helpers/scripted-server'
import { until } from '../helpers/until'
import { closeLater } from '../sockets'
import { serve } from './asking'
import {
  describeReleases,
  type ClientOptions,
  type Undici,
  type UndiciClient,
} from './undici-releases'

type Event =
  | { event: 'written'; request: UndiciRequest; head: string; socket: object }
  | { event: 'answered'; request: UndiciRequest; fields: readonly Uint8Array[] }
  | { event: 'failed'; request: UndiciRequest }

/** The published events of requests that were written since the test began. */
const events: Event[] = []
function note(event: Event): void {
  const isKnown = events.some(({ request }) => request === event.request)
  // Requests of test files that this process ran before may still fail.
  if (isKnown || event.event === 'written') events.push(event)
}
followRequests({
  written: (request, head, socket) => {
    note({ event: 'written', request, head, socket })
  },
  answered: (request, fields) => {
    note({ event: 'answered', request, fields })
  },
  failed: (request) => {
    note({ event: 'failed', request })
  },
})
beforeEach(() => {
  events.length = 0
})

describeReleases('the private parts', (load) => {
  let undici: Undici
  beforeAll(async () => {
    undici = await load()
  })

  /** Makes a client, and records its sockets. `watch` receives each of them before undici does. */
  function connectBy(
    port: number,
    watch: (socket: net.Socket) => void = () => undefined,
    options: Partial<ClientOptions> = {},
  ): { client: UndiciClient; sockets: net.Socket[]; origin: string } {
    const sockets: net.Socket[] = []
    const connect: ConnectFunction = ({ hostname, port: to }, callback) => {
      const socket = net.connect(Number(to), hostname, () => {
        watch(socket)
        callback(null, socket)
      })
      sockets.push(socket)
      return socket.on('error', () => undefined)
    }
    const origin = `http://127.0.0.1:${String(port)}`
    const client = new undici.Client(origin, { connect, ...options })
    closeLater(() => void client.destroy())
    return { client, sockets, origin }
  }

  it('publish each request before it is written, with its head and socket, and its response', async () => {
    const { port } = await serve((socket) => {
      answer(socket, 'answer', 'Keep-Alive: timeout=7\r\n')
    })
    const before: unknown[] = []
    const { client, sockets, origin } = connectBy(port, (socket) => {
      interceptWrites(socket, (_data, _encoding, callback) => {
        const [{ event, request } = {}] = events
        before.push([event, request?.completed, request?.aborted])
        return callback
      })
    })
    const { body } = await undici.request(`${origin}/path`, { dispatcher: client })
    const [written, answered] = events
    expect(events.map(({ event }) => event)).toEqual(['written', 'answered'])
    expect(before).toEqual([['written', false, false]])
    expect(written).toMatchObject({ request: { method: 'GET' } })
    expect(written).toMatchObject({
      head: expect.stringMatching(/^GET \/path HTTP\/1.1\r\n/) as unknown,
    })
    expect((written as Extract<Event, { event: 'written' }>).socket).toBe(sockets[0])
    expect(answered?.request).toBe(written?.request)
    const { fields } = answered as Extract<Event, { event: 'answered' }>
    expect(String(keepAliveOf(fields))).toBe('timeout=7')
    await body.text()
    expect(written?.request.completed).toBe(true)
  })

  it('publish a failed request right before or after it is marked as aborted', async () => {
    const { port } = await serve((socket) => socket.destroy())
    const { client, origin } = connectBy(port)
    await expect(undici.request(origin, { dispatcher: client })).rejects.toThrow()
    expect(events.map(({ event }) => event)).toEqual(['written', 'failed'])
    expect(events[0]?.request.aborted).toBe(true)
  })

  it.each([
    [null, 0],
    ['four', 4],
    [Buffer.from('four'), 4],
  ])("return the length of a request's body (%o)", async (body, length) => {
    const { port } = await serve()
    const { client, origin } = connectBy(port)
    const response = await undici.request(origin, { dispatcher: client, method: 'PUT', body })
    await response.body.text()
    const [written] = events
    expect(written && bodyBytes(written.request)).toBe(length)
  })

  it('rewrite requests in their order if their socket ends with an informational error', async () => {
    const server = await serve((socket, { connection, nth }) => {
      if (connection > 1 || nth === 1) answer(socket)
    })
    const { client, sockets, origin } = connectBy(server.port, () => undefined, { pipelining: 2 })
    const ask = async (path: string): Promise<string> => {
      const { body } = await undici.request(origin + path, { dispatcher: client })
      return body.text()
    }
    // undici pipelines only after the server has kept the connection open once.
    await ask('/0')
    const answers = ['/1', '/2', '/3'].map(ask)
    await until(
      'the first has come',
      () => server.asked.length,
      (length) => length > 1,
    )
    sockets[0]?.destroy(new InformationalError('not used any more'))
    expect(await Promise.all(answers)).toEqual(['answer', 'answer', 'answer'])
    const again = server.asked.filter(({ connection }) => connection === 2)
    expect(again.map(({ path }) => path)).toEqual(['/1', '/2', '/3'])
    expect(events.filter(({ event }) => event === 'failed')).toEqual([])
  })

  it('have a class of informational errors', () => {
    const { errors } = undici as unknown as {
      errors: Record<'InformationalError', new (message: string) => Error & { code: string }>
    }
    const [own, theirs] = [new InformationalError('x'), new errors.InformationalError('x')]
    expect([own.name, own.code]).toEqual([theirs.name, theirs.code])
  })

  it('unref() a socket after its last request, and ref() it before the next one is written', async () => {
    const { port } = await serve()
    const calls: string[] = []
    const { client, origin } = connectBy(port, (socket) => {
      followReferences(
        socket,
        () => calls.push(`wanted, ${String(events.length)} events`),
        () => calls.push('idle'),
      )
    })
    const ask = async (): Promise<void> => {
      const { body } = await undici.request(origin, { dispatcher: client })
      await body.text()
      await until(
        'it is idle',
        () => calls.at(-1),
        (last) => last === 'idle',
      )
    }
    await ask()
    const [before, published] = [calls.length, events.length]
    await ask()
    expect(calls.slice(before)).toEqual([`wanted, ${String(published)} events`, 'idle'])
  })

  it('destroy a socket with their own error if its input ends, and if it was idle for too long', async () => {
    const errors: (Error | undefined)[] = []
    const watch = (socket: net.Socket): void => {
      interceptDestroy(socket, (error) => {
        errors.push(error)
        return error
      })
    }
    const server = await serve()
    for (const act of ['end', 'wait']) {
      const options: Partial<ClientOptions> = act === 'wait' ? { keepAliveTimeout: 1 } : {}
      const { client, origin } = connectBy(server.port, watch, options)
      const { body } = await undici.request(origin, { dispatcher: client })
      await body.text()
      if (act === 'end') server.sockets.at(-1)?.end()
      await until(
        'it is destroyed',
        () => errors.length,
        (length) => length > (act === 'end' ? 0 : 1),
      )
    }
    expect(errors.map((error) => [isInputEnd(error), isIdleTimeout(error)])).toEqual([
      [true, false],
      [false, true],
    ])
  })
})
