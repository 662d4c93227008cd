import { mkdtempSync, rmSync } from 'node:fs'
import * as http from 'node:http'
import type * as net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getOption, SourcePool } from '../../lib'
import { TunedAgent, TunedHttpsAgent, type TunedAgentOptions } from '../../lib/clients/http'
import { expectNoMoreThan, openDescriptors } from '../connect/descriptors'
import { coded } from '../helpers/coded'
import { closeLater } from '../sockets'
import {
  ask,
  begin,
  DividedAgent,
  expectNothingLeft,
  held,
  noneWarmed,
  serve,
  use,
  type Question,
} from './asking'

describe('TunedAgent', () => {
  it('is an http.Agent that keeps its connections alive and counts its work', async () => {
    const server = await serve()
    const agent = use(new TunedAgent())
    expect(agent).toBeInstanceOf(http.Agent)
    const before = agent.counters()
    for (let i = 0; i < 3; i++) expect((await ask(server, agent)).body).toBe('answer')
    expect(before).toMatchObject({ created: 0, reused: 0 })
    expect(agent.counters()).toEqual({
      ...noneWarmed,
      created: 1,
      reused: 2,
      deadBeforeReuse: 0,
      expired: 0,
      retried: 0,
    })
    expect(server.asked.map(({ connection, nth }) => [connection, nth])).toEqual([
      [1, 1],
      [1, 2],
      [1, 3],
    ])
    expect(Object.keys(agent.freeSockets)).toEqual([`127.0.0.1:${String(server.port)}:`])
  })

  it('keeps no connections alive with keepAlive: false', async () => {
    const server = await serve()
    const agent = use(new TunedAgent({ keepAlive: false }))
    const answers = [await ask(server, agent), await ask(server, agent)]
    expect(agent.counters()).toMatchObject({ created: 2, reused: 0 })
    expect(answers.every(({ socket }) => socket.destroyed)).toBe(true)
    expect(server.asked.every(({ head }) => /^connection: close/im.test(head))).toBe(true)
  })

  it('passes Node its own options, but not those of this library', () => {
    const agent = use(
      new TunedAgent({ maxSockets: 3, settings: { TCP_NODELAY: true }, retry: false, timeout: 7 }),
    )
    const { options } = agent as unknown as { options: object }
    expect(options).toMatchObject({ maxSockets: 3, timeout: 7, keepAlive: true })
    expect(options).not.toHaveProperty('settings')
    expect(options).not.toHaveProperty('retry')
  })

  it('applies its settings to its connections', async () => {
    const server = await serve()
    const settings = { TCP_USER_TIMEOUT: 12_345, TCP_MAXSEG: 1000 }
    const agent = use(new TunedAgent({ settings, source: '127.0.0.5' }))
    const { socket } = await ask(server, agent)
    expect(getOption(socket, 'TCP_USER_TIMEOUT')).toBe(12_345)
    expect(getOption(socket, 'TCP_MAXSEG')).toBeLessThanOrEqual(1000)
    expect(socket.localAddress).toBe('127.0.0.5')
  })

  it('applies its settings after the options that Node sets', async () => {
    const server = await serve()
    const settings = { TCP_KEEPIDLE: 77, TCP_KEEPINTVL: 7, TCP_KEEPCNT: 3, TCP_NODELAY: false }
    const agent = use(new TunedAgent({ settings }))
    for (let i = 0; i < 2; i++) {
      const { socket } = await ask(server, agent)
      expect(getOption(socket, 'TCP_KEEPIDLE')).toBe(77)
      expect(getOption(socket, 'TCP_KEEPINTVL')).toBe(7)
      expect(getOption(socket, 'TCP_KEEPCNT')).toBe(3)
      expect(getOption(socket, 'SO_KEEPALIVE')).toBe(true)
      expect(getOption(socket, 'TCP_NODELAY')).toBe(false)
    }
  })

  it('gives a free connection to a waiting request', async () => {
    const server = await serve()
    const agent = use(new TunedAgent({ maxSockets: 1 }))
    await Promise.all(['GET', 'POST', 'PUT'].map((method) => ask(server, agent, { method })))
    expect(server.asked.map(({ method }) => method)).toEqual(['GET', 'POST', 'PUT'])
    expect(agent.counters()).toMatchObject({ created: 1, reused: 2, deadBeforeReuse: 0 })
  })

  it('spreads its connections over the addresses of a pool', async () => {
    const server = await serve()
    const source = new SourcePool(['127.0.0.2', '127.0.0.3'])
    const agent = use(new TunedAgent({ source }))
    await Promise.all(Array.from({ length: 4 }, () => ask(server, agent)))
    const peers = server.sockets.map(({ remoteAddress }) => remoteAddress).sort()
    expect(peers).toEqual(['127.0.0.2', '127.0.0.2', '127.0.0.3', '127.0.0.3'])
  })

  it('connects to a unix-domain socket', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'socket-tuner-'))
    closeLater(() => {
      rmSync(folder, { recursive: true })
    })
    const socketPath = join(folder, 'socket')
    const server = await serve(undefined, undefined, { path: socketPath })
    const agent = use(new TunedAgent())
    for (let i = 0; i < 2; i++) await ask(server, agent, { socketPath })
    expect(agent.counters()).toMatchObject({ created: 1, reused: 1 })
    await expectNothingLeft(agent, server)
  })

  it.each([null, undefined])(
    'uses the lookup of the request, which reports success by the error %s',
    async (none) => {
      const server = await serve()
      const asked: string[] = []
      const lookup: net.LookupFunction = (name, _options, callback) => {
        asked.push(name)
        // Node accepts undefined as the absence of an error too.
        callback(none as null, [{ address: '127.0.0.1', family: 4 }])
      }
      const { body } = await ask(server, use(new TunedAgent()), { host: 'some.test', lookup })
      expect({ body, asked }).toEqual({ body: 'answer', asked: ['some.test'] })
    },
  )

  it("uses the connection that a subclass's createConnection() returns", async () => {
    const server = await serve()
    const made: unknown[] = []
    class Own extends TunedAgent {
      override createConnection(
        ...args: Parameters<TunedAgent['createConnection']>
      ): ReturnType<TunedAgent['createConnection']> {
        const [options, callback] = args
        const socket = super.createConnection(options)
        made.push(socket)
        setImmediate(() => callback?.(null, socket as net.Socket))
        return undefined
      }
    }
    const agent = use(new Own())
    for (let i = 0; i < 2; i++) await ask(server, agent)
    expect(made).toHaveLength(1)
    expect(agent.counters()).toMatchObject({ created: 1, reused: 1 })
  })

  describe('passes no server name for TLS', () => {
    const lookup: net.LookupFunction = (_name, _options, callback) => {
      callback(null, [{ address: '127.0.0.1', family: 4 }])
    }

    async function namesOf(question: Question, options: object = {}): Promise<unknown[]> {
      const server = await serve()
      const agent = use(new TunedAgent(options))
      const made = jest.spyOn(agent, 'createConnection')
      for (let i = 0; i < 2; i++)
        await ask(server, agent, { host: 'some.test', lookup, ...question })
      expect(agent.counters()).toMatchObject({ created: 1, reused: 1 })
      return made.mock.calls.map(([given]) => (given as { servername?: unknown }).servername)
    }

    it('by default', async () => {
      expect(await namesOf({})).toEqual([''])
    })

    it.each([
      ['the request has one', { servername: 'a.test' }, {}],
      ['the agent has one', {}, { servername: 'a.test' }],
    ])('unless %s', async (_, question, options) => {
      expect(await namesOf(question, options)).toEqual(['a.test'])
    })

    it('unless Node itself makes the connections', async () => {
      expect(await namesOf({}, { proxyEnv: {} })).toEqual(['some.test'])
    })
  })

  it("works behind another agent that passes it a request's host and port", async () => {
    const server = await serve()
    const tuned = use(new TunedAgent())
    const before = {
      keepAlive: true,
      addRequest(request: http.ClientRequest, { host, port }: http.RequestOptions): void {
        const behind = tuned as unknown as Record<'addRequest', (...args: unknown[]) => void>
        behind.addRequest(request, host, port)
      },
    }
    for (let i = 0; i < 2; i++)
      expect(await ask(server, before as unknown as http.Agent)).toMatchObject({ body: 'answer' })
    expect(tuned.counters()).toMatchObject({ created: 1, reused: 1 })
  })

  it('stores connections under the name that a subclass gives them', async () => {
    const server = await serve()
    const agent = use(new DividedAgent())
    await ask(server, agent)
    await ask(server, agent)
    expect(Object.keys(agent.freeSockets)).toEqual([expect.stringMatching(/\/a$/)])
    expect(agent.counters()).toMatchObject({ created: 1, reused: 1 })
    agent.division = 'b'
    await ask(server, agent)
    expect(agent.counters()).toMatchObject({ created: 2, reused: 1 })
  })

  it('leaves nothing open after it is destroyed', async () => {
    const server = await serve()
    const before = openDescriptors()
    const agent = use(new TunedAgent())
    await Promise.all(Array.from({ length: 5 }, () => ask(server, agent)))
    expect(held(agent)).toEqual({ busy: 0, idle: 5, waiting: 0, total: 5 })
    server.script = () => {
      agent.destroy()
    }
    await expect(ask(server, agent)).rejects.toEqual(coded('ECONNRESET'))
    await expectNothingLeft(agent, server)
    await expectNoMoreThan(before)
  })
})

describe('a failed connection of TunedAgent', () => {
  it("causes 'error' on the request", async () => {
    const server = await serve()
    const agent = use(new TunedAgent({ source: '127.0.0.1' }))
    const { answer, events } = begin(server, agent, { family: 6 })
    await expect(answer).rejects.toEqual(coded('ERR_SOCKET_TUNER_ADDRESS_FAMILY'))
    expect(events).toEqual(['error', 'close'])
  })

  it("causes 'error' also on a request that had to wait", async () => {
    const server = await serve()
    const agent = use(new TunedAgent({ source: '127.0.0.1', maxTotalSockets: 1 }))
    const first = begin(server, agent, { headers: { connection: 'close' } })
    const { answer, events } = begin(server, agent, { family: 6 })
    expect(held(agent).waiting).toBe(1)
    await first.answer
    await expect(answer).rejects.toEqual(coded('ERR_SOCKET_TUNER_ADDRESS_FAMILY'))
    expect(events).toEqual(['error', 'close'])
  })

  it("has Node's error codes, and leaves no descriptor open", async () => {
    const server = await serve()
    server.close()
    const before = openDescriptors()
    const agent = use(new TunedAgent())
    await expect(ask(server, agent)).rejects.toMatchObject({
      code: 'ECONNREFUSED',
      syscall: 'connect',
      port: server.port,
    })
    expect(agent.counters()).toMatchObject({ created: 1, retried: 0 })
    await expectNothingLeft(agent, server)
    await expectNoMoreThan(before)
  })
})

describe.each([
  ['TunedAgent', TunedAgent],
  ['TunedHttpsAgent', TunedHttpsAgent],
])('new %s', (_name, Agent) => {
  it.each<[string, object, string]>([
    ['options that are not an object', [] as object, 'ERR_INVALID_ARG_TYPE'],
    ['an unknown setting', { settings: { NO: 1 } }, 'ERR_SOCKET_TUNER_UNKNOWN_OPTION'],
    ['a value of the wrong type', { settings: { TCP_NODELAY: 'y' } }, 'ERR_INVALID_ARG_TYPE'],
    ['a source that is not an address', { source: 'localhost' }, 'ERR_INVALID_ARG_VALUE'],
    ['a reversed range', { portRange: { min: 2, max: 1 } }, 'ERR_OUT_OF_RANGE'],
    ['an unknown close mode', { close: 'softly' }, 'ERR_INVALID_ARG_VALUE'],
    [
      'requireTimestamps: 1',
      { close: { mode: 'fin', requireTimestamps: 1 } },
      'ERR_INVALID_ARG_TYPE',
    ],
    ['closeNotify: 1', { close: { mode: 'fin', closeNotify: 1 } }, 'ERR_INVALID_ARG_TYPE'],
    ['deadlineMs: 0', { close: { mode: 'fin', deadlineMs: 0 } }, 'ERR_OUT_OF_RANGE'],
    ['retry: 1', { retry: 1 }, 'ERR_INVALID_ARG_TYPE'],
    ['retry: null', { retry: null }, 'ERR_INVALID_ARG_TYPE'],
    ['an invalid localAddress', { localAddress: 'here' }, 'ERR_INVALID_ARG_VALUE'],
    [
      'a localAddress beside a source',
      { localAddress: '127.0.0.1', source: '127.0.0.1' },
      'ERR_INVALID_ARG_VALUE',
    ],
    [
      'settings beside a proxy',
      { proxyEnv: {}, settings: { TCP_NODELAY: true } },
      'ERR_INVALID_ARG_VALUE',
    ],
    ['an unknown scheduling', { scheduling: 'random' }, 'ERR_INVALID_ARG_VALUE'],
    ['maxTotalSockets: 0', { maxTotalSockets: 0 }, 'ERR_OUT_OF_RANGE'],
  ])('refuses %s', (_what, options, code) => {
    expect(() => new Agent(options as TunedAgentOptions)).toThrow(coded(code))
  })
})
