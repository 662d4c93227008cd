import { once } from 'node:events'
import * as http from 'node:http'
import type * as net from 'node:net'
import { TunedAgent } from '../../lib/clients/http'
import { handleOf } from '../../lib/node/handle'
import { coded } from '../helpers/coded'
import { answer, type ScriptedServer } from '../helpers/scripted-server'
import { until } from '../helpers/until'
import { nativeCallsOf } from '../sockets'
import { ask, begin, DividedAgent, expectNothingLeft, held, serve, unnoticed, use } from './asking'

/** Events on an idle connection that the kernel knows of before the event loop does. */
const ends: Record<string, (socket: net.Socket) => unknown> = {
  'a FIN': (socket) => socket.destroy(),
  'a RST': (socket) => socket.resetAndDestroy(),
  'input that nobody asked for': (socket) => socket.write('HTTP/1.1 408 Too late\r\n\r\n'),
}

describe.each(Object.entries(ends))('an idle connection with %s in the kernel', (_what, end) => {
  it('is not reused', async () => {
    const server = await serve()
    const agent = use(new TunedAgent())
    await ask(server, agent)
    unnoticed(server, end)
    const { request, events } = await ask(server, agent, { method: 'POST' })
    expect(request.reusedSocket).toBe(false)
    expect(events.filter((event) => event === 'socket')).toHaveLength(1)
    expect(agent.counters()).toMatchObject({
      created: 2,
      reused: 0,
      deadBeforeReuse: 1,
      retried: 0,
    })
    await expectNothingLeft(agent, server)
  })

  it('is not given to a waiting request', async () => {
    const server = await serve()
    const agent = use(new TunedAgent({ maxSockets: 1 }))
    const first = begin(server, agent)
    const second = begin(server, agent, { method: 'POST' })
    // Right before the agent learns that the connection is free.
    first.request.once('close', () => {
      unnoticed(server, end)
    })
    const [, { body }] = await Promise.all([first.answer, second.answer])
    expect(body).toBe('answer')
    expect(agent.counters()).toMatchObject({
      created: 2,
      reused: 0,
      deadBeforeReuse: 1,
      retried: 0,
    })
    await expectNothingLeft(agent, server)
  })
})

describe('an idle connection', () => {
  it('is reused by http.Agent after its server has closed it, in releases of Node that do not check', async () => {
    const server = await serve()
    const agent = use(new http.Agent({ keepAlive: true }))
    await ask(server, agent)
    const looks = nodeLooks(agent)
    unnoticed(server, ends['a RST'])
    const asked = ask(server, agent, { method: 'POST' })
    if (looks) expect((await asked).request.reusedSocket).toBe(false)
    else await expect(asked).rejects.toEqual(coded('ECONNRESET'))
  })

  it('is checked once, either by Node or by this library', async () => {
    const server = await serve()
    const agent = use(new TunedAgent())
    await ask(server, agent)
    const question = { method: 'POST' }
    const looks = nodeLooks(agent)
    let second: ReturnType<typeof begin> | undefined
    const calls = nativeCallsOf(() => (second = begin(server, agent, question)))
    expect(calls).toEqual(looks ? [] : ['tcpInfo'])
    await second?.answer
    expect(agent.counters()).toMatchObject({ created: 1, reused: 1, deadBeforeReuse: 0 })
  })

  it.each([
    ['lifo', [4, 3], 2],
    ['fifo', [1, 2], 3],
  ] as const)('is skipped if it is dead, until one works (%s)', async (scheduling, dead, live) => {
    const server = await serve()
    const agent = use(new TunedAgent({ scheduling }))
    await allAtOnce(server, agent, 4)
    unnoticed(
      server,
      ends['a FIN'],
      dead.map((connection) => server.sockets[connection - 1]),
    )
    await ask(server, agent, { method: 'POST' })
    expect(server.asked.at(-1)).toMatchObject({ connection: live, nth: 2 })
    expect(agent.counters()).toMatchObject({ created: 4, reused: 1, deadBeforeReuse: 2 })
    await until(
      'they are closed',
      () => held(agent),
      ({ total }) => total === 2,
    )
  })

  it.each([
    [5000, undefined, 0],
    [undefined, 4000, 4000],
    [5000, 4000, 4000],
  ])(
    'does not pass its timeout of %o on to the next connection (%o)',
    async (first, second, expected) => {
      const server = await serve()
      const agent = use(new TunedAgent())
      await ask(server, agent, { timeout: first })
      unnoticed(server)
      const question = { method: 'POST', timeout: second }
      const { request, answer: answered } = begin(server, agent, question)
      const [socket] = (await once(request, 'socket')) as [net.Socket]
      expect(socket.timeout ?? 0).toBe(expected)
      expect((await answered).body).toBe('answer')
      expect(agent.counters()).toMatchObject({ created: 2, deadBeforeReuse: 1 })
    },
  )

  it('is checked even for an idempotent request, unless it has just become free', async () => {
    const server = await serve()
    const agent = use(new TunedAgent())
    await ask(server, agent)
    unnoticed(server)
    const since = performance.now()
    while (performance.now() - since < 2);
    await ask(server, agent)
    expect(agent.counters()).toMatchObject({ created: 2, deadBeforeReuse: 1, retried: 0 })
  })

  it.each([
    ['maxSockets', { maxSockets: 3 }],
    ['maxTotalSockets', { maxTotalSockets: 3 }],
  ])('does not count towards %s if it is dead', async (_limit, options) => {
    const server = await serve()
    const agent = use(new TunedAgent(options))
    await allAtOnce(server, agent, 3)
    unnoticed(server, ends['a FIN'], server.sockets)
    await allAtOnce(server, agent, 3, 'POST')
    expect(agent.counters()).toMatchObject({ created: 6, reused: 0, deadBeforeReuse: 3 })
    await expectNothingLeft(agent, server)
  })

  it('is found under its own name, whatever the Host header says', async () => {
    const server = await serve()
    const agent = use(new TunedAgent())
    const question = { method: 'POST', headers: { host: 'another.test' } }
    await ask(server, agent, question)
    unnoticed(server)
    await ask(server, agent, question)
    expect(agent.counters().deadBeforeReuse).toBe(1)
  })

  it('is found under the name that a subclass of the agent gives it', async () => {
    const server = await serve()
    const agent = use(new DividedAgent())
    await ask(server, agent)
    unnoticed(server)
    await ask(server, agent, { method: 'POST' })
    expect(agent.counters()).toMatchObject({
      created: 2,
      reused: 0,
      deadBeforeReuse: 1,
      retried: 0,
    })
    await expectNothingLeft(agent, server)
  })
})

describe('Keep-Alive: timeout', () => {
  /** Answers with this value in the header. */
  const announce = (value: string) => (socket: net.Socket) => {
    answer(socket, 'answer', `Keep-Alive: ${value}\r\n`)
  }
  /** A margin that leaves 40 ms of 2 s. */
  const margin = { agentKeepAliveTimeoutBuffer: 1960 }

  it.each(['timeout=2', 'max=100, timeout=2', 'TIMEOUT = "2"'])(
    'closes an idle connection a margin before its end: %s',
    async (value) => {
      const server = await serve(announce(value))
      const agent = use(new TunedAgent(margin as http.AgentOptions))
      await ask(server, agent)
      expect(held(agent).idle).toBe(1)
      await until(
        'it has expired',
        () => agent.counters().expired,
        (expired) => expired === 1,
      )
      await expectNothingLeft(agent, server)
    },
  )

  it('prevents the reuse of an expired connection even if the timer is late', async () => {
    const server = await serve(announce('timeout=2'))
    const agent = use(new TunedAgent(margin as http.AgentOptions))
    await ask(server, agent)
    const since = performance.now()
    while (performance.now() - since < 60);
    await ask(server, agent)
    expect(agent.counters()).toMatchObject({ created: 2, reused: 0, expired: 1 })
  })

  it('applies to each connection separately', async () => {
    const server = await serve((socket, { path }) => {
      announce(`timeout=${path.slice(1)}`)(socket)
    })
    const agent = use(new TunedAgent(margin as http.AgentOptions))
    await Promise.all(['/60', '/2', '/2'].map((path) => ask(server, agent, { path })))
    await until(
      'two have expired',
      () => agent.counters().expired,
      (expired) => expired === 2,
    )
    await until(
      'they are closed',
      () => held(agent),
      ({ total }) => total === 1,
    )
    await ask(server, agent, { path: '/60' })
    expect(server.asked.at(-1)).toMatchObject({ connection: 1, nth: 2 })
  })

  it.each(['timeout=0', 'timeout=1'])('closes the connection at once: %s', async (value) => {
    const server = await serve(announce(value))
    const agent = use(new TunedAgent())
    await ask(server, agent)
    expect(held(agent).idle).toBe(0)
    await ask(server, agent)
    expect(agent.counters()).toMatchObject({ created: 2, reused: 0 })
  })

  it.each([undefined, 900_000])(
    "does not change the agent's timeout for the next request (%s)",
    async (timeout) => {
      const server = await serve(announce('timeout=600'))
      const agent = use(new TunedAgent({ timeout }))
      await ask(server, agent)
      const [[idle] = []] = Object.values(agent.freeSockets)
      server.script = (socket) => {
        expect(idle?.timeout).toBe(timeout ?? 0)
        answer(socket)
      }
      expect((await ask(server, agent)).socket).toBe(idle)
      expect.assertions(2)
    },
  )

  it('does not keep the process alive', async () => {
    const server = await serve(announce('timeout=60'))
    const agent = use(new TunedAgent())
    const timers = jest.spyOn(globalThis, 'setTimeout')
    await ask(server, agent)
    const made = timers.mock.calls.flatMap(([, ms = 0], call) =>
      ms > 50_000 ? [timers.mock.results[call]?.value as NodeJS.Timeout] : [],
    )
    timers.mockRestore()
    expect(held(agent).idle).toBe(1)
    expect(made.map((timer) => timer.hasRef())).toEqual([false])
  })
})

/** Returns whether Node's own agent checks an idle connection before it reuses it. */
function nodeLooks(agent: http.Agent): boolean {
  const [[idle] = []] = Object.values(agent.freeSockets)
  if (idle === undefined) throw new Error('no connection is idle')
  return typeof (handleOf(idle) as { hasPendingRead?: unknown }).hasPendingRead === 'function'
}

async function allAtOnce(
  server: ScriptedServer,
  agent: http.Agent,
  requests: number,
  method = 'GET',
): Promise<void> {
  await Promise.all(Array.from({ length: requests }, () => ask(server, agent, { method })))
}
