import * as http from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { getOption } from '../../lib'
import { Plugin, type PluginConfig, type Script } from '../../lib/clients/artillery'
import type { Context, Scenario } from '../../lib/clients/artillery/script'
import { TunedAgent, TunedHttpsAgent } from '../../lib/clients/http'
import { coded } from '../helpers/coded'
import { until } from '../helpers/until'

/** As Artillery's loader gives it to a plugin in a thread that makes load. */
function scriptWith(own: PluginConfig | object, scenario: Scenario = {}): Script {
  return { config: { plugins: { 'socket-tuner': own } }, scenarios: [scenario] }
}

type Hook = (context: Context, events: object, done: (error?: Error) => void) => void

/** What Artillery's agents have: http.Agent with the options of agentkeepalive. */
interface ArtilleryAgentOptions extends http.AgentOptions {
  freeSocketTimeout?: number
}

function artilleryAgent(options: ArtilleryAgentOptions = {}): http.Agent {
  return new http.Agent({ keepAlive: true, maxSockets: 1, maxFreeSockets: 1, ...options })
}

/** Counters as Artillery's reports have them. */
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

  /** Begins a scenario as the HTTP engine does. */
  async function begin(script: Script, context: Context, events: object = new Counters()) {
    const { processor } = script.config
    const [scenario] = script.scenarios ?? []
    const [first = ''] = [scenario?.beforeScenario ?? []].flat()
    const hook = (processor as Record<string, Hook>)[first]
    // Artillery would wait for a promise of any other kind of function.
    expect(hook?.constructor.name).toBe('Function')
    await new Promise<void>((resolve, reject) => {
      hook?.(context, events, (error) => {
        if (error === undefined) resolve()
        else reject(error)
      })
    })
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

  it('gives each virtual user agents of its own, and one pair to those who share them', async () => {
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

  it('leaves a context as it is that has been through it before', async () => {
    const script = scriptWith({})
    load(script)
    const { _httpAgent } = await begin(script, { _httpAgent: artilleryAgent() })
    expect((await begin(script, { _httpAgent }))._httpAgent).toBe(_httpAgent)
  })

  it.each([
    ['none', undefined, 1],
    ['one', 'logIn', 2],
    ['several', ['logIn', 'pickUser'], 3],
  ])('comes before the other hooks of a scenario (%s)', (_, beforeScenario, hooks) => {
    const scenario: Scenario = { beforeScenario }
    load(scriptWith({}, scenario))
    expect(scenario.beforeScenario).toHaveLength(hooks)
    expect(scenario.beforeScenario?.slice(1)).toEqual([beforeScenario ?? []].flat())
  })

  it('keeps the functions that the script brings', () => {
    const script = scriptWith({})
    const processor = { logIn: () => undefined }
    script.config.processor = processor
    load(script)
    expect(script.config.processor).toMatchObject(processor)
  })

  it.each([
    ['of the scenario', { engine: 'ws' }, {}],
    ['of the script', {}, { engine: 'playwright' }],
  ])('leaves scenarios of another engine alone (%s)', (_, scenario: Scenario, config) => {
    const script = scriptWith({}, scenario)
    load({ ...script, config: { ...script.config, ...config } })
    expect(scenario.beforeScenario).toBeUndefined()
  })

  it("leaves the script of Artillery's main thread alone, which has not loaded its functions", () => {
    const scenario: Scenario = {}
    const script = scriptWith({}, scenario)
    script.config.processor = './functions.js'
    load(script)
    expect(script.config.processor).toBe('./functions.js')
    expect(scenario).toEqual({})
  })

  it('tunes each connection before it is made', async () => {
    const own = { settings: { IP_TTL: 77 }, sources: ['127.0.0.1'] }
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
  ])(
    'sends a request that failed once more only when it is told to (%s)',
    async (retry, counts) => {
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
    },
  )

  it.each([
    ['has no answer', (): undefined => undefined],
    [
      'has part of an answer',
      (_request: unknown, response: http.ServerResponse): unknown => response.write('hel'),
    ],
  ])('fails a request that %s within the time that Artillery gives it', async (_, silent) => {
    answer = silent
    const { _httpAgent } = await beginWith({}, { timeout: 50 })
    await expect(get(url, _httpAgent)).rejects.toEqual(coded('ERR_SOCKET_TIMEOUT'))
  })

  it('leaves it to a request with a limit of its own', async () => {
    answer = () => undefined
    const { _httpAgent } = await beginWith({}, { timeout: 50 })
    const request = http.get(url, { agent: _httpAgent })
    await new Promise((resolve) => request.on('timeout', resolve))
    expect(request.destroyed).toBe(false)
    request.on('error', () => undefined).destroy()
  })

  it('closes a connection that is idle for longer than Artillery keeps it', async () => {
    const { _httpAgent } = await beginWith({}, { freeSocketTimeout: 20, timeout: 600_000 })
    const { socket } = await get(url, _httpAgent)
    await until(
      'the connection is closed',
      () => socket.destroyed,
      (destroyed) => destroyed,
    )
  })

  it('closes what is open when Artillery unloads it, and what is opened later', async () => {
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

  it("fails a virtual user whose agent's options cannot go together with the plugin's", async () => {
    const conflict = beginWith({ source: '127.0.0.1' }, { localAddress: '127.0.0.2' })
    await expect(conflict).rejects.toEqual(coded('ERR_INVALID_ARG_VALUE'))
  })

  describe('refuses before anything is changed', () => {
    it.each([
      ['an option with no such name', { settings: { TCP_NODELAI: true } }, 'UNKNOWN_OPTION'],
      ['a value of another type', { settings: { TCP_NODELAY: 'yes' } }, 'TYPE'],
      ['a close mode that there is not', { close: 'gently' }, 'VALUE'],
      ['a word that it does not know', { setings: {} }, 'UNKNOWN_OPTION'],
      ['a source that is no address', { source: 'eth0' }, 'VALUE'],
      ['no sources', { sources: [] }, 'VALUE'],
      ['sources that are no list', { sources: '127.0.0.1' }, 'TYPE'],
      ['sources of both families', { sources: ['127.0.0.1', '::1'] }, 'ADDRESS_FAMILY'],
      ['a source and sources', { source: '127.0.0.1', sources: ['127.0.0.2'] }, 'VALUE'],
      ['retry that is neither', { retry: 1 }, 'TYPE'],
      ['a deadline out of range', { close: { mode: 'lingering', deadlineMs: 0 } }, 'RANGE'],
    ])('%s', (_, own, error) => {
      const scenario: Scenario = {}
      const script = scriptWith(own, scenario)
      expect(() => new Plugin(script)).toThrow(coded(codes[error] ?? `ERR_SOCKET_TUNER_${error}`))
      expect(script.config.processor).toBeUndefined()
      expect(scenario).toEqual({})
    })

    it.each([['a list', []] as const, ['a word', 'deliver'] as const])(
      'a configuration that is %s',
      (_, own) => {
        const script = scriptWith(own as object)
        expect(() => new Plugin(script)).toThrow(coded('ERR_INVALID_ARG_TYPE'))
      },
    )

    it('a script that does not name it', () => {
      const script: Script = { config: { plugins: { expect: {} } } }
      expect(() => new Plugin(script)).toThrow(coded('ERR_INVALID_ARG_VALUE'))
    })

    it.each(['HTTP_PROXY', 'HTTPS_PROXY'])('%s, and does not tell it', (name) => {
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

  it('takes its configuration under the name of the entry point too', async () => {
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

function cleanUp(plugin: Plugin): Promise<void> {
  return new Promise((resolve, reject) => {
    plugin.cleanup((error) => {
      if (error instanceof Error) reject(error)
      else resolve()
    })
  })
}

/** A GET to its end. */
function get(url: string, agent: http.Agent): Promise<{ socket: Socket; text: string }> {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { agent }, (response) => {
      const { socket } = response
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (data: string) => (text += data))
      response.on('error', reject)
      // The agent has it back by then.
      response.on('end', () => setImmediate(resolve, { socket, text }))
    })
    request.on('error', reject)
  })
}
