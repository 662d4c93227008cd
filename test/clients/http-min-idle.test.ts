import { AsyncLocalStorage } from 'node:async_hooks'
import { execFile } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type * as http from 'node:http'
import * as net from 'node:net'
import * as path from 'node:path'
import type * as tls from 'node:tls'
import { promisify } from 'node:util'
import { configure } from '../../lib'
import { TunedAgent, TunedHttpsAgent, type TunedAgentOptions } from '../../lib/clients/http'
import type { SocketTunerWarning } from '../../lib/warnings'
import { expectNoMoreThan, openDescriptors } from '../connect/descriptors'
import { makeCertificate } from '../helpers/certificate'
import { coded } from '../helpers/coded'
import { answer, type ScriptedServer } from '../helpers/scripted-server'
import { until } from '../helpers/until'
import { closeLater } from '../sockets'
import { ask, begin, expectNothingLeft, held, serve, unnoticed, use } from './asking'

const run = promisify(execFile)
const certificate = makeCertificate()

function destination({ port }: ScriptedServer): { host: string; port: number } {
  return { host: '127.0.0.1', port }
}

async function untilIdle(agent: http.Agent, idle: number): Promise<void> {
  await until(
    `${String(idle)} are idle`,
    () => held(agent),
    (now) => now.idle === idle && now.busy === 0,
  )
}

/** Starts a server that closes each connection at once, and counts them. */
async function serveNobody(): Promise<{ port: number; accepted: () => number }> {
  let accepted = 0
  const server = net.createServer((socket) => {
    accepted++
    socket.destroy()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closeLater(() => server.close())
  return { port: (server.address() as net.AddressInfo).port, accepted: () => accepted }
}

/** Returns an array to which all warnings with the code are added. */
function warningsOf(code: string): SocketTunerWarning[] {
  const seen: SocketTunerWarning[] = []
  const listener = (message: unknown): void => {
    const warning = message as SocketTunerWarning
    if (warning.code === code) seen.push(warning)
  }
  configure({ hazards: 'ignore' })
  subscribe('socket-tuner:warning', listener)
  closeLater(() => unsubscribe('socket-tuner:warning', listener))
  return seen
}

describe('minIdle', () => {
  it('keeps that many idle connections open beside the one of a request', async () => {
    const server = await serve()
    const agent = use(new TunedAgent({ minIdle: 2 }))
    await ask(server, agent)
    await untilIdle(agent, 3)
    expect(agent.counters()).toMatchObject({ created: 3, warmed: 2, warmedUsed: 0 })
    await expectNothingLeft(agent, server)
  })

  it('gives its connections to requests, and opens others instead', async () => {
    const server = await serve()
    const agent = use(new TunedAgent({ minIdle: 2 }))
    await agent.warm(destination(server))
    expect(held(agent)).toMatchObject({ idle: 2, busy: 0 })
    server.script = () => undefined
    const requests = [begin(server, agent), begin(server, agent)]
    await until(
      'both have been asked',
      () => server.asked,
      ({ length }) => length === 2,
    )
    expect(server.asked.map(({ connection }) => connection).sort()).toEqual([1, 2])
    expect(requests.every(({ request }) => request.reusedSocket)).toBe(true)
    await until(
      'others are ready',
      () => held(agent),
      ({ idle }) => idle === 2,
    )
    expect(agent.counters()).toMatchObject({ created: 4, warmed: 4, warmedUsed: 2, reused: 0 })
    for (const socket of server.sockets) answer(socket)
    await Promise.allSettled(requests.map(({ answer: answered }) => answered))
    await expectNothingLeft(agent, server)
  })

  it('opens no connection if it is not set', async () => {
    const server = await serve()
    const agent = use(new TunedAgent())
    await ask(server, agent)
    await ask(server, agent)
    expect(server.sockets).toHaveLength(1)
    expect(() => agent.warm(destination(server))).toThrow(coded('ERR_INVALID_ARG_VALUE'))
  })

  it.each<[string, (port: number) => Parameters<TunedAgent['warm']>[0]]>([
    ['a string', (port) => `http://127.0.0.1:${String(port)}/path`],
    ['a URL', (port) => new URL(`http://127.0.0.1:${String(port)}/`)],
    ['a host name', (port) => ({ hostname: '127.0.0.1', port: String(port) })],
  ])('opens connections to a destination that is %s', async (_what, where) => {
    const server = await serve()
    const agent = use(new TunedAgent({ minIdle: 1 }))
    await agent.warm(where(server.port))
    const { request } = await ask(server, agent)
    expect(request.reusedSocket).toBe(true)
    expect(agent.counters()).toMatchObject({ warmedUsed: 1 })
  })

  it.each<[unknown, string]>([
    [undefined, 'ERR_INVALID_ARG_TYPE'],
    [80, 'ERR_INVALID_ARG_TYPE'],
    ['nowhere', 'ERR_INVALID_URL'],
    ['https://localhost/', 'ERR_INVALID_ARG_VALUE'],
    [{ protocol: 'ftp:' }, 'ERR_INVALID_ARG_VALUE'],
  ])('refuses the destination %o', (where, code) => {
    const agent = use(new TunedAgent({ minIdle: 1 }))
    expect(() => agent.warm(where as string)).toThrow(coded(code))
  })

  it.each<TunedAgentOptions>([
    { keepAlive: false },
    { maxSockets: 2 },
    { maxFreeSockets: 2 },
    { maxTotalSockets: 2 },
    { proxyEnv: {} } as TunedAgentOptions,
  ])('cannot be 3 with %o', (options) => {
    for (const Agent of [TunedAgent, TunedHttpsAgent])
      expect(() => new Agent({ minIdle: 3, ...options })).toThrow(coded('ERR_INVALID_ARG_VALUE'))
  })

  it('opens its connections outside of the async context of a request', async () => {
    const server = await serve()
    const context = new AsyncLocalStorage<string>()
    const contexts: unknown[] = []
    class Own extends TunedAgent {
      override createConnection(
        ...args: Parameters<TunedAgent['createConnection']>
      ): ReturnType<TunedAgent['createConnection']> {
        contexts.push(context.getStore())
        return super.createConnection(...args)
      }
    }
    const agent = use(new Own({ minIdle: 1 }))
    await context.run('a request', () => ask(server, agent))
    await untilIdle(agent, 2)
    expect(contexts).toEqual(['a request', undefined])
  })

  it.each([
    ['ready', async () => (await serve()).port],
    ['ECONNREFUSED', () => Promise.resolve(9)],
  ])(
    'does not keep the process alive, whatever the outcome of warm(): %s',
    async (expected, listen) => {
      const program = path.join(__dirname, 'http-min-idle-program.js')
      const { stdout } = await run(process.execPath, [program, String(await listen())])
      expect(stdout.trim()).toBe(expected)
    },
  )
})

/** How a server may end an idle connection. */
const ends: Record<string, (socket: net.Socket) => unknown> = {
  'a FIN': (socket) => socket.destroy(),
  'a RST': (socket) => socket.resetAndDestroy(),
  'an answer to no request': (socket) => socket.write('HTTP/1.1 408 Too late\r\n\r\n'),
}

describe.each(Object.entries(ends))(
  'an unused connection of minIdle that receives %s',
  (_what, end) => {
    it('is replaced', async () => {
      const server = await serve()
      const agent = use(new TunedAgent({ minIdle: 2 }))
      await agent.warm(destination(server))
      for (const socket of server.sockets.slice(0, 1)) end(socket)
      await until(
        'it is counted',
        () => agent.counters(),
        ({ warmedLost }) => warmedLost === 1,
      )
      await untilIdle(agent, 2)
      expect(server.sockets).toHaveLength(3)
      await expectNothingLeft(agent, server)
    })

    it('is not used', async () => {
      const server = await serve()
      const agent = use(new TunedAgent({ minIdle: 1 }))
      await agent.warm(destination(server))
      unnoticed(server, end)
      const { request } = await ask(server, agent, { method: 'POST' })
      expect(request.reusedSocket).toBe(false)
      expect(agent.counters()).toMatchObject({ deadBeforeReuse: 1, warmedLost: 1, warmedUsed: 0 })
      await expectNothingLeft(agent, server)
    })
  },
)

describe('a request that fails on an unused connection of minIdle', () => {
  it.each([
    ['is sent once more if it is idempotent', 'GET', 1],
    ['is not sent twice otherwise', 'POST', 0],
  ])('%s', async (_what, method, retried) => {
    const server = await serve((socket, { connection }) => {
      if (connection === 1) socket.resetAndDestroy()
      else answer(socket)
    })
    const agent = use(new TunedAgent({ minIdle: 1 }))
    await agent.warm(destination(server))
    const asked = ask(server, agent, { method })
    if (retried) expect((await asked).body).toBe('answer')
    else await expect(asked).rejects.toEqual(coded('ECONNRESET'))
    expect(agent.counters()).toMatchObject({ warmedUsed: 1, retried })
  })
})

describe('minIdle towards a server that refuses connections', () => {
  it('waits longer after each failure, warns once, and recovers', async () => {
    const server = await serve()
    const { port } = server
    server.close()
    const warnings = warningsOf('SOCKET_TUNER_MIN_IDLE_FAILING')
    const timers = jest.spyOn(globalThis, 'setTimeout')
    const before = openDescriptors()
    const agent = use(new TunedAgent({ minIdle: 3 }))
    await expect(agent.warm({ host: '127.0.0.1', port })).rejects.toEqual(coded('ECONNREFUSED'))
    await until(
      'it has failed often enough',
      () => agent.counters(),
      // Three attempts at once, and then one at a time.
      ({ warmFailed }) => warmFailed === 6,
    )
    const pauses = timers.mock.calls
      .filter(([action]) => String(action).includes('origin.timer'))
      .map(([, ms = 0]) => ms)
    timers.mockRestore()
    expect(pauses).toHaveLength(4)
    for (const [i, pause] of pauses.entries()) {
      expect(pause).toBeGreaterThanOrEqual(50 * 2 ** i)
      expect(pause).toBeLessThanOrEqual(100 * 2 ** i)
    }
    expect(warnings.map(({ reason }) => reason)).toEqual(['ECONNREFUSED'])
    expect(held(agent).total).toBe(0)
    await expectNoMoreThan(before)
    const revived = await serve(undefined, undefined, { host: '127.0.0.1', port })
    await untilIdle(agent, 3)
    expect(agent.counters()).toMatchObject({ warmed: 3, warmedLost: 0 })
    await expectNothingLeft(agent, revived)
  })

  it('does the same for a server that closes each connection at once', async () => {
    const { port, accepted } = await serveNobody()
    const warnings = warningsOf('SOCKET_TUNER_MIN_IDLE_FAILING')
    const agent = use(new TunedAgent({ minIdle: 1 }))
    void agent.warm({ host: '127.0.0.1', port })
    await until(
      'it has warned',
      () => warnings,
      ({ length }) => length > 0,
    )
    expect(accepted()).toBe(3)
    expect(agent.counters()).toMatchObject({ created: 3, warmFailed: 3 })
  })

  it('opens all connections after a request was answered', async () => {
    const server = await serve()
    const { port } = server
    server.close()
    const agent = use(new TunedAgent({ minIdle: 2 }))
    await expect(agent.warm({ host: '127.0.0.1', port })).rejects.toEqual(coded('ECONNREFUSED'))
    const revived = await serve(undefined, undefined, { host: '127.0.0.1', port })
    await ask(revived, agent)
    await untilIdle(agent, 2)
    expect(agent.counters()).toMatchObject({ created: 4, warmFailed: 2, warmed: 1 })
  })
})

describe('destroy() with minIdle', () => {
  it('closes connecting sockets, and opens no more', async () => {
    const server = await serve()
    const before = openDescriptors()
    class Brief extends TunedAgent {
      override createConnection(
        ...args: Parameters<TunedAgent['createConnection']>
      ): ReturnType<TunedAgent['createConnection']> {
        process.nextTick(() => {
          this.destroy()
        })
        return super.createConnection(...args)
      }
    }
    const brief = use(new Brief({ minIdle: 2 }))
    await expect(brief.warm(destination(server))).rejects.toEqual(
      coded('ERR_SOCKET_TUNER_DESTROYED'),
    )
    expect(brief.counters()).toMatchObject({ created: 2, warmed: 0 })
    await expectNothingLeft(brief, server)
    const agent = use(new TunedAgent({ minIdle: 2 }))
    const warmed = agent.warm(destination(server))
    agent.destroy()
    await expect(warmed).rejects.toEqual(coded('ERR_SOCKET_TUNER_DESTROYED'))
    const { created } = agent.counters()
    // A request may still use the agent, as with Node's own.
    await ask(server, agent)
    expect(agent.counters().created).toBe(created + 1)
    await expectNothingLeft(agent, server)
    await expectNoMoreThan(before)
  })

  it('rejects a pending warm()', async () => {
    const server = await serve()
    const agent = use(new TunedAgent({ minIdle: 2 }))
    const warmed = agent.warm(destination(server))
    agent.destroy()
    await expect(warmed).rejects.toEqual(coded('ERR_SOCKET_TUNER_DESTROYED'))
    expect(agent.counters().created).toBe(0)
  })

  it('closes a connection that a subclass makes later', async () => {
    const server = await serve()
    const made: (() => void)[] = []
    class Late extends TunedAgent {
      override createConnection(
        ...[options, callback]: Parameters<TunedAgent['createConnection']>
      ): ReturnType<TunedAgent['createConnection']> {
        made.push(() => callback?.(null, super.createConnection(options) as net.Socket))
        return undefined
      }
    }
    const agent = use(new Late({ minIdle: 1 }))
    void agent.warm(destination(server))
    await until(
      'it is being made',
      () => made,
      ({ length }) => length === 1,
    )
    agent.destroy()
    made[0]?.()
    await until(
      'nothing is left',
      () => held(agent),
      ({ total }) => total === 0,
    )
  })

  it('lets another warm() open connections again', async () => {
    const server = await serve()
    const agent = use(new TunedAgent({ minIdle: 1 }))
    await agent.warm(destination(server))
    agent.destroy()
    await agent.warm(destination(server))
    await untilIdle(agent, 1)
    expect(agent.counters()).toMatchObject({ warmed: 2 })
  })
})

describe('minIdle and the limits of the agent', () => {
  it.each<[TunedAgentOptions, number]>([
    [{ maxSockets: 3 }, 3],
    [{ maxTotalSockets: 3 }, 3],
  ])('opens no more than %o', async (limits, most) => {
    const server = await serve()
    const agent = use(new TunedAgent({ minIdle: 2, ...limits }))
    await agent.warm(destination(server))
    server.script = () => undefined
    const requests = [1, 2, 3, 4].map(() => begin(server, agent))
    await until(
      'three were sent',
      () => server.asked,
      ({ length }) => length === most,
    )
    expect(held(agent)).toEqual({ busy: most, idle: 0, waiting: 1, total: most })
    server.script = (socket) => {
      answer(socket)
    }
    for (const socket of server.sockets) answer(socket)
    await Promise.all(requests.map(({ answer: answered }) => answered))
    expect(server.sockets).toHaveLength(most)
  })

  it('gives a connection up for a request that maxTotalSockets would delay', async () => {
    const [server, other] = [await serve(), await serve()]
    const agent = use(new TunedAgent({ minIdle: 2, maxTotalSockets: 2 }))
    await agent.warm(destination(server))
    expect(held(agent)).toMatchObject({ idle: 2, total: 2 })
    expect((await ask(other, agent)).body).toBe('answer')
    expect(held(agent).total).toBeLessThanOrEqual(2)
    expect(agent.counters()).toMatchObject({ warmedLost: 1, warmFailed: 0 })
  })
})

describe('minIdle and Keep-Alive: timeout', () => {
  it('replaces a connection before it expires', async () => {
    const server = await serve((socket) => {
      answer(socket, 'answer', 'Keep-Alive: timeout=2\r\n')
    })
    const agent = use(new TunedAgent({ minIdle: 1 }))
    await ask(server, agent)
    const [first] = server.sockets
    let openThen = 0
    first?.once('close', () => {
      openThen = server.open
    })
    await until(
      'it has expired',
      () => first?.destroyed,
      (destroyed) => destroyed === true,
    )
    expect(openThen).toBeGreaterThan(0)
    const { request } = await ask(server, agent)
    expect(request.reusedSocket).toBe(true)
    expect(agent.counters()).toMatchObject({ warmFailed: 0, deadBeforeReuse: 0 })
  })

  it('opens no connections to a server that keeps them for less than a second', async () => {
    const server = await serve((socket) => {
      answer(socket, 'answer', 'Keep-Alive: timeout=1\r\n')
    })
    const agent = use(new TunedAgent({ minIdle: 1 }))
    await agent.warm(destination(server))
    for (let i = 0; i < 3; i++) await ask(server, agent)
    await agent.warm(destination(server))
    await expect(agent.warm(destination(server))).resolves.toBeUndefined()
    expect(agent.counters().warmed).toBeLessThanOrEqual(2)
  })
})

describe('TunedHttpsAgent with minIdle', () => {
  it('opens TLS connections, which resume the session', async () => {
    const server = await serve(undefined, certificate)
    const trusting = { ca: certificate.cert, servername: 'localhost' }
    const agent = use(new TunedHttpsAgent({ ...trusting, minIdle: 1 }))
    await agent.warm(`https://127.0.0.1:${String(server.port)}/`)
    expect(held(agent).idle).toBe(1)
    const { request } = await ask(server, agent)
    expect(request.reusedSocket).toBe(true)
    await untilIdle(agent, 2)
    await until(
      'the server has both',
      () => server.sockets,
      ({ length }) => length === 2,
    )
    for (const socket of server.sockets) socket.destroy()
    await until(
      'it is replaced',
      () => agent.counters().warmed,
      (warmed) => warmed === 3,
    )
    await untilIdle(agent, 1)
    const [[idle] = []] = Object.values(agent.freeSockets)
    expect((idle as tls.TLSSocket).isSessionReused()).toBe(true)
    expect(agent.counters()).toMatchObject({ warmedUsed: 1, warmedLost: 1 })
    await expectNothingLeft(agent, server)
  })

  it('sends the server name that a request would send', async () => {
    const server = await serve(undefined, certificate)
    const agent = use(new TunedHttpsAgent({ ca: certificate.cert, minIdle: 1 }))
    await agent.warm({ host: 'localhost', port: server.port })
    const { request } = await ask(server, agent, { host: 'localhost' })
    expect(request.reusedSocket).toBe(true)
  })

  it('fails if the certificate is not trusted', async () => {
    const server = await serve(undefined, certificate)
    const agent = use(new TunedHttpsAgent({ minIdle: 1 }))
    await expect(agent.warm(`https://localhost:${String(server.port)}/`)).rejects.toEqual(
      coded('DEPTH_ZERO_SELF_SIGNED_CERT'),
    )
    expect(held(agent).total).toBe(0)
  })
})
