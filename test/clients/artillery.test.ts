import * as http from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { getOption } from '../../lib'
import { Plugin, type PluginConfig, type Script } from '../../lib/clients/artillery'
import type { Context, Scenario } from '../../lib/clients/artillery/script'
import { TunedAgent, TunedHttpsAgent } from '../../lib/clients/http'
import { coded } from '../helpers/coded'
import { until } from '../helpers/until'
import { beginScenario, cleanUp } from './artillery-run'

/** Returns a script as Artillery passes it to a plugin in a worker thread. */
function scriptWith(own: PluginConfig | object, scenario: Scenario = {}): Script {
  return { config: { plugins: { 'socket-tuner': own } }, scenarios: [scenario] }
}

/** The options of Artillery's agents: those of http.Agent and of agentkeepalive. */
interface ArtilleryAgentOptions extends http.AgentOptions {
  freeSocketTimeout?: number
}

function artilleryAgent(options: ArtilleryAgentOptions = {}): http.Agent {
  return new http.Agent({ keepAlive: true, maxSockets: 1, maxFreeSockets: 1, ...options })
}

/** Counts events as Artillery's reports do. */
class Counters {
  readonly counts: Record<string, number> = {}

  emit(event: string, name: string, value: number): void {
    expect(event).toBe('counter')
    this.counts[name] = (this.counts[name] ?? 0) + value
  }
}

describe('the plugin for Artillery', () => {
  let server: http.Server
  let url: string
  let accepted: Socket[]
  let answer: http.RequestListener
  const plugins: Plugin[] = []

  beforeEach(async () => {
    accepted = []
    answer = (_request, response) => response.end('hello')
    server = http.createServer({ keepAliveTimeout: 600_000 }, (request, response) => {
      answer(request, response)
    })
    server.on('connection', (socket) => accepted.push(socket))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/`
  })

  afterEach(async () => {
    for (const plugin of plugins.splice(0)) await cleanUp(plugin)
    for (const socket of accepted) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })

  function load(script: Script): Plugin {
    const plugin = new Plugin(script)
    plugins.push(plugin)
    return plugin
  }

  /** Begins a scenario as Artillery's HTTP engine does. */
  async function begin(script: Script, context: Context, events: object = new Counters()) {
    await beginScenario(script, context, events)
    return context as { _httpAgent: TunedAgent; _httpsAgent: TunedHttpsAgent }
  }

  function beginWith(own: PluginConfig, options: ArtilleryAgentOptions, events?: object) {
    const script = scriptWith(own)
    load(script)
    return begin(script, { _httpAgent: artilleryAgent(options) }, events)
  }

  it("replaces a virtual user's agents, and keeps the options of Artillery's own", async () => {
    const script = scriptWith({})
    load(script)
    const own = { _httpAgent: artilleryAgent({ timeout: 8000 }), _httpsAgent: artilleryAgent() }
    const { _httpAgent, _httpsAgent } = await begin(script, own)
    expect(_httpAgent).toBeInstanceOf(TunedAgent)
    expect(_httpsAgent).toBeInstanceOf(TunedHttpsAgent)
    expect(_httpAgent).toMatchObject({
      maxSockets: 1,
      maxFreeSockets: 1,
      options: { keepAlive: true, timeout: 8000 },
    })
  })

  it('gives each virtual user its own agents, or the same pair to users who share agents', async () => {
    const script = scriptWith({})
    load(script)
    const shared = artilleryAgent()
    const [one, two, third] = [
      await begin(script, { _httpAgent: shared }),
      await begin(script, { _httpAgent: shared }),
      await begin(script, { _httpAgent: artilleryAgent() }),
    ]
    expect(two._httpAgent).toBe(one._httpAgent)
    expect(third._httpAgent).not.toBe(one._httpAgent)
  })

  it('does not change a context that it has already changed', async () => {
    const script = scriptWith({})
    load(script)
    const { _httpAgent } = await begin(script, { _httpAgent: artilleryAgent() })
    expect((await begin(script, { _httpAgent }))._httpAgent).toBe(_httpAgent)
  })

  it.each([
    ['none', undefined, 1],
    ['one', 'logIn', 2],
    ['several', ['logIn', 'pickUser'], 3],
  ])('runs before the other hooks of a scenario: %s', (_, beforeScenario, hooks) => {
    const scenario: Scenario = { beforeScenario }
    load(scriptWith({}, scenario))
    expect(scenario.beforeScenario).toHaveLength(hooks)
    expect(scenario.beforeScenario?.slice(1)).toEqual([beforeScenario ?? []].flat())
  })

  it("keeps the script's own functions", () => {
    const script = scriptWith({})
    const processor = { logIn: () => undefined }
    script.config.processor = processor
    load(script)
    expect(script.config.processor).toMatchObject(processor)
  })

  it.each([
    ['scenario', { engine: 'ws' }, {}],
    ['script', {}, { engine: 'playwright' }],
  ])(
    'does not change scenarios of another engine, which the %s selects',
    (_, scenario: Scenario, config) => {
      const script = scriptWith({}, scenario)
      load({ ...script, config: { ...script.config, ...config } })
      expect(scenario.beforeScenario).toBeUndefined()
    },
  )

  it("does not change the script in Artillery's main thread, which generates no load", () => {
    const scenario: Scenario = {}
    const script = scriptWith({}, scenario)
    script.config.processor = './functions.js'
    load(script)
    expect(script.config.processor).toBe('./functions.js')
    expect(scenario).toEqual({})
  })

  it('tunes each connection before it is made', async () => {
    const own = { settings: { IP_TTL: 77 }, source: ['127.0.0.1'] }
    const { _httpAgent } = await beginWith(own, {})
    const { socket, text } = await get(url, _httpAgent)
    expect(text).toBe('hello')
    expect(getOption(socket, 'IP_TTL')).toBe(77)
  })

  it("counts connections and their use in Artillery's report", async () => {
    const counters = new Counters()
    const { _httpAgent } = await beginWith({}, {}, counters)
    for (let requests = 0; requests < 3; requests++) await get(url, _httpAgent)
    await until(
      'all is counted',
      () => counters.counts,
      (counts) => counts['socket_tuner.connections.reused'] === 2,
    )
    expect(counters.counts).toEqual({
      'socket_tuner.connections.created': 1,
      'socket_tuner.connections.reused': 2,
    })
    expect(accepted).toHaveLength(1)
  })

  it('takes no snapshot of the counters for a request', async () => {
    const snapshot = jest.spyOn(TunedAgent.prototype, 'counters')
    const counters = new Counters()
    const { _httpAgent } = await beginWith({}, {}, counters)
    for (let requests = 0; requests < 3; requests++) await get(url, _httpAgent)
    expect(counters.counts).toMatchObject({ 'socket_tuner.connections.reused': 2 })
    expect(snapshot).not.toHaveBeenCalled()
    snapshot.mockRestore()
  })

  it('uses the same pool of sources for all virtual users of a thread', async () => {
    const script = scriptWith({ source: ['127.0.0.2', '127.0.0.3'] })
    load(script)
    for (let users = 0; users < 4; users++) {
      const { _httpAgent } = await begin(script, { _httpAgent: artilleryAgent() })
      await get(url, _httpAgent)
    }
    const sources = accepted.map(({ remoteAddress }) => remoteAddress).toSorted()
    expect(sources).toEqual(['127.0.0.2', '127.0.0.2', '127.0.0.3', '127.0.0.3'])
  })

  it.each([
    [false, { 'socket_tuner.connections.created': 1, 'socket_tuner.connections.reused': 1 }],
    [
      true,
      {
        'socket_tuner.connections.created': 2,
        'socket_tuner.connections.reused': 1,
        'socket_tuner.requests.retried': 1,
      },
    ],
  ])('resends a failed request only if retry is true (%s)', async (retry, counts) => {
    const counters = new Counters()
    const { _httpAgent } = await beginWith({ retry }, {}, counters)
    await get(url, _httpAgent)
    answer = (request, response) => {
      if (accepted.length > 1) response.end('hello')
      else request.socket.destroy()
    }
    const second = get(url, _httpAgent)
    await (retry ? second : expect(second).rejects.toEqual(coded('ECONNRESET')))
    await until(
      'all is counted',
      () => counters.counts,
      (counted) => Object.keys(counted).length === Object.keys(counts).length,
    )
    expect(counters.counts).toEqual(counts)
  })

  it.each([
    ['receives no response', (): undefined => undefined],
    [
      'receives only a part of the response',
      (_request: unknown, response: http.ServerResponse): unknown => response.write('hel'),
    ],
  ])("lets a request fail that %s within Artillery's timeout", async (_, silent) => {
    answer = silent
    const { _httpAgent } = await beginWith({}, { timeout: 50 })
    await expect(get(url, _httpAgent)).rejects.toEqual(coded('ERR_SOCKET_TIMEOUT'))
  })

  it('does not apply that timeout to a request with its own', async () => {
    answer = () => undefined
    const { _httpAgent } = await beginWith({}, { timeout: 50 })
    const request = http.get(url, { agent: _httpAgent })
    await new Promise((resolve) => request.on('timeout', resolve))
    expect(request.destroyed).toBe(false)
    request.on('error', () => undefined).destroy()
  })

  it("closes connections after Artillery's idle timeout", async () => {
    const { _httpAgent } = await beginWith({}, { freeSocketTimeout: 20, timeout: 600_000 })
    const { socket } = await get(url, _httpAgent)
    await until(
      'the connection is closed',
      () => socket.destroyed,
      (destroyed) => destroyed,
    )
  })

  it('closes open connections when Artillery unloads it, and also connections that are opened later', async () => {
    const script = scriptWith({})
    const plugin = load(script)
    const users = [artilleryAgent(), artilleryAgent()]
    const sockets: Socket[] = []
    for (const _httpAgent of users) {
      const tuned = await begin(script, { _httpAgent })
      sockets.push((await get(url, tuned._httpAgent)).socket)
    }
    expect(sockets.map(({ destroyed }) => destroyed)).toEqual([false, false])
    await cleanUp(plugin)
    expect(sockets.map(({ closed }) => closed)).toEqual([true, true])
    const late = await begin(script, { _httpAgent: artilleryAgent() })
    await expect(get(url, late._httpAgent)).rejects.toEqual(coded('ECONNRESET'))
  })

  it("lets a virtual user fail whose agent options conflict with the plugin's", async () => {
    const conflict = beginWith({ source: '127.0.0.1' }, { localAddress: '127.0.0.2' })
    await expect(conflict).rejects.toEqual(coded('ERR_INVALID_ARG_VALUE'))
  })

  describe('changes nothing, and refuses', () => {
    it.each([
      ['an unknown socket option', { settings: { TCP_NODELAI: true } }, 'UNKNOWN_OPTION'],
      ['a value of another type', { settings: { TCP_NODELAY: 'yes' } }, 'TYPE'],
      ['an unknown close mode', { close: 'gently' }, 'VALUE'],
      ['an unknown name', { setings: {} }, 'UNKNOWN_OPTION'],
      ['a source that is not an address', { source: 'eth0' }, 'VALUE'],
      ['an empty list of sources', { source: [] }, 'VALUE'],
      ['a source address given twice', { source: ['127.0.0.1', '127.0.0.1'] }, 'VALUE'],
      ['a source that is a number', { source: 127 }, 'TYPE'],
      ['sources of both families', { source: ['127.0.0.1', '::1'] }, 'ADDRESS_FAMILY'],
      ['retry that is not a boolean', { retry: 1 }, 'TYPE'],
      ['a deadline out of range', { close: { mode: 'lingering', deadlineMs: 0 } }, 'RANGE'],
    ])('%s', (_, own, error) => {
      const scenario: Scenario = {}
      const script = scriptWith(own, scenario)
      expect(() => new Plugin(script)).toThrow(coded(codes[error] ?? `ERR_SOCKET_TUNER_${error}`))
      expect(script.config.processor).toBeUndefined()
      expect(scenario).toEqual({})
    })

    it.each([['a list', []] as const, ['a string', 'deliver'] as const])(
      'a configuration that is %s',
      (_, own) => {
        const script = scriptWith(own as object)
        expect(() => new Plugin(script)).toThrow(coded('ERR_INVALID_ARG_TYPE'))
      },
    )

    it('a script that does not name the plugin', () => {
      const script: Script = { config: { plugins: { expect: {} } } }
      expect(() => new Plugin(script)).toThrow(coded('ERR_INVALID_ARG_VALUE'))
    })

    it.each(['HTTP_PROXY', 'HTTPS_PROXY'])('%s, without quoting it in the message', (name) => {
      const before = process.env[name]
      process.env[name] = 'http://user:secret@127.0.0.1:3128'
      try {
        expect(() => new Plugin(scriptWith({}))).toThrow(
          expect.objectContaining({
            code: 'ERR_INVALID_ARG_VALUE',
            message: expect.not.stringContaining('secret') as string,
          }) as Error,
        )
      } finally {
        if (before === undefined) Reflect.deleteProperty(process.env, name)
        else process.env[name] = before
      }
    })
  })

  it('accepts its configuration also under the name of the entry point', async () => {
    const own = { scope: 'socket-tuner/', settings: { IP_TTL: 78 } }
    const script: Script = { config: { plugins: { artillery: own } }, scenarios: [{}] }
    load(script)
    const { _httpAgent } = await begin(script, { _httpAgent: artilleryAgent() })
    const { socket } = await get(url, _httpAgent)
    expect(getOption(socket, 'IP_TTL')).toBe(78)
  })
})

const codes: Record<string, string> = {
  TYPE: 'ERR_INVALID_ARG_TYPE',
  VALUE: 'ERR_INVALID_ARG_VALUE',
  RANGE: 'ERR_OUT_OF_RANGE',
}

/** Sends a GET request, and reads the response. */
function get(url: string, agent: http.Agent): Promise<{ socket: Socket; text: string }> {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { agent }, (response) => {
      const { socket } = response
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (data: string) => (text += data))
      response.on('error', reject)
      // By then the connection has returned to the agent.
      response.on('end', () => setImmediate(resolve, { socket, text }))
    })
    request.on('error', reject)
  })
}
