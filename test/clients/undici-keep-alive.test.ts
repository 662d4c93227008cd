import { Readable } from 'node:stream'
import type * as net from 'node:net'
import { tunedConnector, type TunedConnectorOptions } from '../../lib/clients/undici'
import { makeCertificate } from '../helpers/certificate'
import { coded } from '../helpers/coded'
import { answer, failures, firstOnly, type ScriptedServer } from '../helpers/scripted-server'
import { until } from '../helpers/until'
import { closeLater } from '../sockets'
import { noneWarmed, serve, unnoticed } from './asking'
import {
  describeReleases,
  type ClientOptions,
  type RequestOptions,
  type Undici,
  type UndiciClient,
} from './undici-releases'

/** Ways to close an idle connection at once. */
const closes = {
  'a FIN': (socket: net.Socket) => socket.destroy(),
  'a RST': (socket: net.Socket) => socket.resetAndDestroy(),
} as const

const byReset = failures['a RST']

type Question = Omit<RequestOptions, 'dispatcher'> & { path?: string }

/** A client of a server, with its connector and its requests. */
class Client {
  readonly #undici: Undici
  readonly #server: ScriptedServer
  readonly #protocol: 'http' | 'https'
  readonly connector: ReturnType<typeof tunedConnector>
  readonly dispatcher: UndiciClient

  constructor(
    undici: Undici,
    server: ScriptedServer,
    { of = 'Agent', protocol = 'http', ...options }: Options = {},
    tuning: TunedConnectorOptions = {},
  ) {
    this.#undici = undici
    this.#server = server
    this.#protocol = protocol
    this.connector = tunedConnector(tuning)
    const all = { ...options, connect: this.connector }
    this.dispatcher = of === 'Agent' ? new undici.Agent(all) : new undici.Client(this.origin, all)
    closeLater(() => void this.dispatcher.destroy())
  }

  get origin(): string {
    return `${this.#protocol}://localhost:${String(this.#server.port)}`
  }

  /** Makes a request, and resolves with the body of the response. */
  async ask({ path = '/', ...question }: Question = {}): Promise<string> {
    const { dispatcher } = this
    const { body } = await this.#undici.request(`${this.origin}${path}`, {
      ...question,
      dispatcher,
    })
    return body.text()
  }

  async fetch(
    init: { method?: string; body?: string; signal?: AbortSignal } = {},
  ): Promise<string> {
    const { dispatcher } = this
    const response = await this.#undici.fetch(`${this.origin}/`, { ...init, dispatcher })
    return response.text()
  }

  /** Makes a request, after which there is an idle connection. */
  async warm(): Promise<this> {
    await this.ask()
    await this.idle()
    return this
  }

  /** Waits until undici has made its connection idle, which it does after the response. */
  async idle(): Promise<void> {
    for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate)
  }
}

type Options = Omit<Partial<ClientOptions>, 'connect'> & {
  of?: 'Agent' | 'Client'
  protocol?: 'http' | 'https'
}

function seen(server: ScriptedServer): [string, string, number][] {
  return server.asked.map(({ method, body, connection }) => [method, body, connection])
}

const retried = { ...noneWarmed, created: 2, reused: 1, deadBeforeReuse: 0, expired: 0, retried: 1 }
const once = { ...noneWarmed, created: 1, reused: 1, deadBeforeReuse: 0, expired: 0, retried: 0 }
const diverted = {
  ...noneWarmed,
  created: 2,
  reused: 0,
  deadBeforeReuse: 1,
  expired: 0,
  retried: 0,
}

describeReleases('the keep-alive race', (load) => {
  let undici: Undici
  beforeAll(async () => {
    undici = await load()
  })

  describe.each(Object.entries(failures))('a request that is answered by %s', (_what, fail) => {
    it.each<RequestOptions['method'] & string>(['GET', 'OPTIONS', 'TRACE', 'DELETE', 'PUT'])(
      'is resent on a fresh connection (%s)',
      async (method) => {
        const server = await serve(firstOnly(fail))
        const client = await new Client(undici, server).warm()
        expect(await client.ask({ method })).toBe('answer')
        expect(seen(server)).toEqual([
          ['GET', '', 1],
          [method, '', 1],
          [method, '', 2],
        ])
        expect(client.connector.counters()).toEqual(retried)
      },
    )

    it('is resent for fetch', async () => {
      const server = await serve(firstOnly(fail))
      const client = await new Client(undici, server).warm()
      expect(await client.fetch()).toBe('answer')
      expect(client.connector.counters()).toEqual(retried)
    })

    it.each<[string, string | Uint8Array]>([
      ['a string', 'something'],
      ['bytes', Buffer.from('something')],
    ])('is resent with its body (%s)', async (_form, body) => {
      const server = await serve(firstOnly(fail))
      const client = await new Client(undici, server).warm()
      expect(await client.ask({ method: 'PUT', body })).toBe('answer')
      expect(seen(server).slice(1)).toEqual([
        ['PUT', 'something', 1],
        ['PUT', 'something', 2],
      ])
      expect(client.connector.counters()).toEqual(retried)
    })

    it.each<RequestOptions['method'] & string>(['POST', 'PATCH'])(
      'is not resent (%s)',
      async (method) => {
        const server = await serve(firstOnly(fail))
        const client = await new Client(undici, server).warm()
        const asked = client.ask({ method, body: 'once' })
        await expect(asked).rejects.toMatchObject({
          code: expect.stringMatching(/^(?:ECONNRESET|UND_ERR_SOCKET)$/) as unknown,
        })
        expect(seen(server)).toHaveLength(2)
        expect(client.connector.counters()).toEqual(once)
      },
    )

    it.each<[string, Question, TunedConnectorOptions]>([
      ['with retry: false', {}, { retry: false }],
      ['with a large body', { method: 'PUT', body: 'x'.repeat(65_537) }, {}],
    ])('is not resent %s', async (_what, question, tuning) => {
      const server = await serve(firstOnly(fail))
      const client = await new Client(undici, server, {}, tuning).warm()
      await expect(client.ask(question)).rejects.toThrow()
      expect(seen(server)).toHaveLength(2)
      expect(client.connector.counters()).toEqual(once)
    })

    it('is not resent if its body can be read only once', async () => {
      const server = await serve(firstOnly(fail))
      const client = await new Client(undici, server).warm()
      const body = Readable.from(['some', 'thing'])
      await expect(client.ask({ method: 'PUT', body })).rejects.toThrow()
      expect(seen(server).slice(1)).toEqual([['PUT', 'something', 1]])
      expect(client.connector.counters()).toEqual(once)
    })

    it('is resent only once', async () => {
      const server = await serve((socket, { connection, nth }) => {
        if (connection === 1 && nth === 1) answer(socket)
        else fail(socket)
      })
      const client = await new Client(undici, server).warm()
      await expect(client.ask()).rejects.toThrow()
      expect(seen(server).map(([, , connection]) => connection)).toEqual([1, 1, 2])
      expect(client.connector.counters()).toEqual(retried)
    })

    it('is not resent if the connection was fresh', async () => {
      const server = await serve((socket) => fail(socket))
      const client = new Client(undici, server)
      await expect(client.ask()).rejects.toThrow()
      expect(seen(server)).toHaveLength(1)
      expect(client.connector.counters()).toMatchObject({ created: 1, retried: 0 })
    })

    it('is not resent after the beginning of a response', async () => {
      const server = await serve(
        firstOnly((socket) => {
          socket.write('HTTP/1.1 200 OK\r\nX-Half: ', () => {
            setImmediate(fail, socket)
          })
        }),
      )
      const client = await new Client(undici, server).warm()
      await expect(client.ask()).rejects.toThrow()
      expect(seen(server)).toHaveLength(2)
      expect(client.connector.counters()).toMatchObject({ retried: 0 })
    })

    it('is resent before waiting requests', async () => {
      const server = await serve(firstOnly(fail))
      const client = await new Client(undici, server, { of: 'Client' }).warm()
      await Promise.all(['/1', '/2', '/3'].map((path) => client.ask({ path })))
      // Each of them fails once, on the connection of the previous response.
      expect(server.asked.slice(1).map(({ path, connection }) => [path, connection])).toEqual([
        ['/1', 1],
        ['/1', 2],
        ['/2', 2],
        ['/2', 3],
        ['/3', 3],
        ['/3', 4],
      ])
      expect(client.connector.counters()).toMatchObject({ created: 4, retried: 3 })
    })

    it('is resent together with the requests that were written after it', async () => {
      const asked: string[] = []
      const server = await serve((socket, { connection, path, nth }) => {
        asked.push(path)
        if (connection === 1 && nth > 1) fail(socket)
        else answer(socket)
      })
      const client = await new Client(undici, server, { of: 'Client', pipelining: 3 }).warm()
      const texts = await Promise.all(['/1', '/2', '/3'].map((path) => client.ask({ path })))
      expect(texts).toEqual(['answer', 'answer', 'answer'])
      expect(client.connector.counters()).toMatchObject({ created: 2, retried: 1 })
    })
  })

  describe('a request that is being resent', () => {
    it.each(['request', 'fetch'] as const)(
      'can be aborted after it was sent again, and leaves no connection (%s)',
      async (how) => {
        const controller = new AbortController()
        const server = await serve((socket, { connection, nth }) => {
          if (connection === 2) controller.abort()
          else if (nth === 1) answer(socket)
          else byReset(socket)
        })
        const client = await new Client(undici, server).warm()
        const { signal } = controller
        const asked = how === 'fetch' ? client.fetch({ signal }) : client.ask({ signal })
        await expect(asked).rejects.toMatchObject({ name: 'AbortError' })
        expect(client.connector.counters().retried).toBe(1)
        await until(
          'the server has no connection',
          () => server.open,
          (open) => open === 0,
        )
      },
    )

    it('fails if its client is destroyed', async () => {
      const server = await serve((socket, { connection, nth }) => {
        if (connection === 2) void client.dispatcher.destroy()
        else if (nth === 1) answer(socket)
        else byReset(socket)
      })
      // The agents of undici 7 drop the pool of a server after its last connection.
      const client = await new Client(undici, server, { of: 'Client' }).warm()
      await expect(client.ask()).rejects.toEqual(coded('UND_ERR_DESTROYED'))
    })

    it('fails with the error of its fresh connection', async () => {
      const server = await serve(
        firstOnly((socket) => {
          server.close()
          byReset(socket)
        }),
      )
      const client = await new Client(undici, server).warm()
      await expect(client.ask()).rejects.toEqual(coded('ECONNREFUSED'))
    })
  })

  describe.each(Object.entries(closes))(
    'an idle connection with %s in the kernel',
    (_what, end) => {
      it.each<[string, (client: Client) => Promise<string>]>([
        ['a string', (client) => client.ask({ method: 'POST', body: 'once' })],
        ['a stream', (client) => client.ask({ method: 'POST', body: Readable.from(['on', 'ce']) })],
        ['a body of fetch', (client) => client.fetch({ method: 'POST', body: 'once' })],
      ])('is not reused for a POST of %s', async (_form, ask) => {
        const server = await serve()
        const client = await new Client(undici, server).warm()
        const since = performance.now()
        while (performance.now() - since < 2);
        unnoticed(server, end)
        expect(await ask(client)).toBe('answer')
        expect(seen(server)).toEqual([
          ['GET', '', 1],
          ['POST', 'once', 2],
        ])
        expect(client.connector.counters()).toEqual(diverted)
      })

      it('is not reused for a POST that waited for it', async () => {
        const server = await serve((socket, { nth }) => {
          answer(socket)
          if (nth === 1 && server.asked.length === 1) unnoticed(server, end)
        })
        const client = new Client(undici, server, { of: 'Client' })
        const both = [client.ask(), client.ask({ method: 'POST', body: 'once' })]
        expect(await Promise.all(both)).toEqual(['answer', 'answer'])
        expect(seen(server)).toEqual([
          ['GET', '', 1],
          ['POST', 'once', 2],
        ])
        expect(client.connector.counters()).toMatchObject({ created: 2, retried: 0 })
      })
    },
  )

  describe('Keep-Alive: timeout', () => {
    it('is applied before undici reads it, and the expired connection is not reused', async () => {
      const server = await serve((socket) => {
        answer(socket, 'answer', 'Keep-Alive: timeout=3\r\n')
      })
      const client = await new Client(undici, server).warm()
      const now = performance.now()
      const clock = jest.spyOn(performance, 'now').mockImplementation(() => now + 2_001)
      try {
        expect(await client.ask({ method: 'POST', body: 'once' })).toBe('answer')
      } finally {
        clock.mockRestore()
      }
      expect(client.connector.counters()).toMatchObject({ created: 2, expired: 1 })
    })
  })

  it('follows the same rules over TLS', async () => {
    const certificate = makeCertificate()
    const server = await serve(firstOnly(failures['a FIN']), certificate)
    const tuning = { ca: certificate.cert }
    const client = await new Client(undici, server, { protocol: 'https' }, tuning).warm()
    expect(await client.ask()).toBe('answer')
    expect(client.connector.counters()).toEqual(retried)
  })
})
