import { once } from 'node:events'
import * as http from 'node:http'
import type * as net from 'node:net'
import {
  connect,
  Connector,
  getOption,
  SourcePool,
  type ConnectOptions,
  type Settings,
  type Source,
} from '../../lib'
import { tunedAutocannon } from '../../lib/clients/autocannon'
import { TunedAgent, TunedHttpsAgent } from '../../lib/clients/http'
import { tunedConnector } from '../../lib/clients/undici'
import { policyOf } from '../../lib/close/hooks'
import { coded } from '../helpers/coded'
import { socketPath } from '../options/targets'
import { closeLater, destroyLater } from '../sockets'
import { errorOf, expectNoMoreThan, openDescriptors } from './descriptors'
import { serveEchoAt } from './peers'

let names = 0

/** Starts an echo server, and returns its path in the file system or its abstract name. */
function serve(kind: 'path' | 'abstract name' = 'path'): Promise<string> {
  const path =
    kind === 'path' ? socketPath() : `\0socket-tuner-${String(process.pid)}-${String(names++)}`
  return serveEchoAt(path)
}

function open(options: ConnectOptions, listener?: () => void): net.Socket {
  const socket = connect(options, listener)
  destroyLater(socket)
  return socket
}

const settings = { SO_SNDBUF: 50_000, SO_RCVBUF: 60_000, SO_LINGER: { enabled: true, seconds: 0 } }
const inForce = {
  SO_SNDBUF: 100_000,
  SO_RCVBUF: 120_000,
  SO_LINGER: { enabled: true, seconds: 0 },
}

function valuesOf(socket: net.Socket): object {
  return {
    SO_SNDBUF: getOption(socket, 'SO_SNDBUF'),
    SO_RCVBUF: getOption(socket, 'SO_RCVBUF'),
    SO_LINGER: getOption(socket, 'SO_LINGER'),
  }
}

describe('connect() to a unix-domain socket', () => {
  it.each(['path', 'abstract name'] as const)(
    'has the settings in force if it is named by its %s',
    async (kind) => {
      const path = await serve(kind)
      const listener = jest.fn()
      const socket = open({ path, settings, close: 'reset', allowHalfOpen: true }, listener)
      // Node calls connect(2) in the same tick.
      expect(valuesOf(socket)).toEqual(inForce)
      const seen: string[] = []
      for (const event of ['connect', 'ready']) socket.on(event, () => seen.push(event))
      await once(socket, 'ready')
      expect(seen).toEqual(['connect', 'ready'])
      expect(listener).toHaveBeenCalledTimes(1)
      expect(socket.allowHalfOpen).toBe(true)
      expect(policyOf(socket)?.options.mode.name).toBe('reset')
      socket.end('there and back')
      let text = ''
      socket.setEncoding('utf8').on('data', (data) => (text += String(data)))
      await once(socket, 'end')
      expect(text).toBe('there and back')
    },
  )

  it.each<[keyof Settings, Settings]>([
    ['TCP_NODELAY', { TCP_NODELAY: true }],
    ['IP_TOS', { SO_SNDBUF: 50_000, IP_TOS: 8 }],
    ['IPV6_V6ONLY', { IPV6_V6ONLY: true }],
    // The kernel accepts these, and ignores them.
    ['SO_KEEPALIVE', { SO_KEEPALIVE: true }],
    ['SO_MARK', { SO_MARK: 1 }],
  ])('refuses %s, and opens nothing', (option, wrong) => {
    const before = openDescriptors()
    expect(() => connect({ path: '/nowhere', settings: wrong })).toThrow(
      expect.objectContaining({
        code: 'ERR_SOCKET_TUNER_WRONG_SOCKET',
        option,
        message: expect.stringContaining("'/nowhere' is a unix-domain socket") as string,
      }) as Error,
    )
    expect(openDescriptors()).toBe(before)
  })

  it.each<[string, object, string]>([
    ['a source', { source: '127.0.0.1' }, 'ERR_INVALID_ARG_VALUE'],
    ['a pool', { source: new SourcePool(['127.0.0.1']) }, 'ERR_INVALID_ARG_VALUE'],
    ['a port range', { portRange: 'kernel' }, 'ERR_INVALID_ARG_VALUE'],
    ['a path that is not a string', { path: 7, settings }, 'ERR_INVALID_ARG_TYPE'],
    ['an invalid signal', { signal: 'stop', settings }, 'ERR_INVALID_ARG_TYPE'],
  ])('refuses %s', (_, options, code) => {
    const before = openDescriptors()
    expect(() => connect({ path: '/nowhere', ...options })).toThrow(coded(code))
    expect(openDescriptors()).toBe(before)
  })

  it("emits errors for settings that the kernel refuses, and Node's own errors", async () => {
    const before = openDescriptors()
    // Descriptor 1 is not a BPF program.
    const refused = open({ path: socketPath(), settings: { SO_ATTACH_BPF: 1 } })
    expect(await errorOf(refused)).toMatchObject({ code: 'EINVAL', option: 'SO_ATTACH_BPF' })
    const path = socketPath()
    const error = await errorOf(open({ path, settings }))
    expect(error).toMatchObject({ code: 'ENOENT', syscall: 'connect', address: path })
    await expectNoMoreThan(before)
  })

  it.each([[undefined], [settings]])(
    'fails if its signal was aborted before, with settings %j',
    async (wanted) => {
      const path = await serve()
      const before = openDescriptors()
      const socket = open({ path, signal: AbortSignal.abort(), settings: wanted })
      const connected = jest.fn()
      socket.once('connect', connected)
      expect(await errorOf(socket)).toMatchObject({ name: 'AbortError' })
      await expectNoMoreThan(before)
      expect(connected).not.toHaveBeenCalled()
    },
  )
})

describe('the path of a unix-domain socket', () => {
  const socketPath = '/nowhere'
  const ways: [string, string, (source: Source) => unknown][] = [
    ['connect()', 'path', (source) => connect({ path: socketPath, source })],
    ['a Connector', 'path', (source) => new Connector({ source }).connect({ path: socketPath })],
    ['TunedAgent', 'socketPath', (source) => new TunedAgent({ ...{ socketPath }, source })],
    ['tunedConnector()', 'socketPath', (source) => tunedConnector({ socketPath, source })],
    [
      'tunedAutocannon()',
      'socketPath',
      (source) => tunedAutocannon({ url: 'http://localhost', socketPath }, { source }),
    ],
  ]
  it.each(ways)(
    'cannot be combined with a source in %s, whose error names both',
    (_, name, use) => {
      const before = openDescriptors()
      for (const source of ['127.0.0.2', ['127.0.0.2', '127.0.0.3'], new SourcePool(['::1'])]) {
        expect(() => use(source)).toThrow(
          expect.objectContaining({
            code: 'ERR_INVALID_ARG_VALUE',
            message: `The property 'options.${name}' cannot go together with source, which is for TCP only. Received '/nowhere'`,
          }) as Error,
        )
      }
      expect(openDescriptors()).toBe(before)
    },
  )
})

describe('TunedAgent over a unix-domain socket', () => {
  async function serveHttp(): Promise<string> {
    const path = socketPath()
    const server = http.createServer((_request, response) => response.end('ok'))
    closeLater(() => server.close())
    server.listen(path)
    await once(server, 'listening')
    return path
  }

  function use(agent: TunedAgent): TunedAgent {
    closeLater(() => {
      agent.destroy()
    })
    return agent
  }

  it('applies its settings', async () => {
    const socketPath = await serveHttp()
    const agent = use(new TunedAgent({ settings }))
    const [response] = (await once(http.get({ socketPath, agent }), 'response')) as [
      http.IncomingMessage,
    ]
    expect(valuesOf(response.socket)).toEqual(inForce)
    response.resume()
    await once(response, 'end')
  })

  it.each([
    [{ settings: { TCP_NODELAY: true } }, 'ERR_SOCKET_TUNER_WRONG_SOCKET'],
    [{ source: '127.0.0.1' }, 'ERR_INVALID_ARG_VALUE'],
  ])(
    "fails a request with the options %j, and refuses them beside the agent's own socketPath",
    async (tuning, code) => {
      const socketPath = await serveHttp()
      const request = http.get({ socketPath, agent: use(new TunedAgent(tuning)) })
      const [error] = (await once(request, 'error').catch((reason: unknown) => [reason])) as [Error]
      expect(error).toEqual(coded(code))
      for (const Agent of [TunedAgent, TunedHttpsAgent])
        expect(() => new Agent({ ...tuning, socketPath } as object)).toThrow(coded(code))
    },
  )
})
