import { once } from 'node:events'
import * as net from 'node:net'
import type * as Library from '../../lib'
import type * as Http from '../../lib/clients/http'
import { expectNoMoreThan, openDescriptors } from '../connect/descriptors'
import { closeLater, destroyLater, failureOf, listen, loopback } from '../sockets'

interface Modules {
  readonly library: typeof Library
  readonly http: typeof Http
}

/** Loads the library as if in another runtime. */
function loadedBy(runtime: 'deno' | 'bun'): Modules {
  const versions = Object.getOwnPropertyDescriptor(process, 'versions') ?? {}
  const value = { ...process.versions, [runtime]: '1.0.0' }
  Object.defineProperty(process, 'versions', { ...versions, value })
  let modules: Modules | undefined
  try {
    jest.isolateModules(() => {
      modules = {
        library: jest.requireActual('../../lib'),
        http: jest.requireActual('../../lib/clients/http'),
      }
    })
  } finally {
    Object.defineProperty(process, 'versions', versions)
  }
  if (modules === undefined) throw new Error('not loaded')
  return modules
}

describe.each([
  ['deno', 'Deno'],
  ['bun', 'Bun'],
] as const)('on %s, where a net.Socket cannot adopt a descriptor,', (runtime, name) => {
  const { library, http } = loadedBy(runtime)
  const unsupported = expect.objectContaining({
    code: 'ERR_SOCKET_TUNER_UNSUPPORTED',
    message: expect.stringMatching(`: ${name} (cannot create|neither exposes) `) as string,
  }) as Error
  const to = { host: loopback[4], port: 9 }

  it.each([
    ['settings', { ...to, settings: { TCP_NODELAY: true } }],
    ['a source', { ...to, source: loopback[4] }],
    ['a port range', { ...to, portRange: 'kernel' as const }],
    ['settings for a unix-domain socket', { path: '/nowhere', settings: { SO_SNDBUF: 50_000 } }],
  ])('connect() refuses %s', (_, options) => {
    const before = openDescriptors()
    expect(failureOf(() => library.connect(options))).toEqual(unsupported)
    expect(openDescriptors()).toBe(before)
  })

  it('connect() accepts a close mode without settings', async () => {
    const port = await listen(net.createServer(destroyLater))
    const socket = library.connect({ host: loopback[4], port, close: 'deliver' })
    destroyLater(socket)
    await once(socket, 'connect')
  })

  it('a RawSocket can become neither a socket nor a server, and stays open', async () => {
    const raw = library.RawSocket.open(4)
    closeLater(() => {
      raw.close()
    })
    expect(failureOf(() => raw.connect(to))).toEqual(unsupported)
    await expect(raw.listenOn(net.createServer())).rejects.toEqual(unsupported)
    expect(raw.localAddress.port).toBe(0)
  })

  it('listen() is refused, and leaves no descriptor open', async () => {
    const before = openDescriptors()
    const listening = library.listen(net.createServer(), { port: 0, host: loopback[4] })
    await expect(listening).rejects.toEqual(unsupported)
    await expectNoMoreThan(before)
  })

  it('a request through a TunedAgent fails only if the agent has settings', async () => {
    const agent = new http.TunedAgent({ settings: { TCP_USER_TIMEOUT: 1000 } })
    const create = agent.createConnection.bind(agent)
    expect(failureOf(() => create(to))).toEqual(unsupported)
    const port = await listen(net.createServer(destroyLater))
    const socket = new http.TunedAgent().createConnection({ host: loopback[4], port })
    destroyLater(socket as net.Socket)
    await once(socket as net.Socket, 'connect')
  })
})
