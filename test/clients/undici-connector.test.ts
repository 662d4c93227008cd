import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import * as net from 'node:net'
import { tmpdir } from 'node:os'
import * as path from 'node:path'
import * as tls from 'node:tls'
import { types } from 'node:util'
import { getOption } from '../../lib'
import {
  tunedConnector,
  type ConnectParameters,
  type ConnectFunction,
  type TunedConnectorOptions,
} from '../../lib/clients/undici'
import { ConnectTimeoutError } from '../../lib/clients/undici/connect-timeout'
import { policyOf } from '../../lib/close/hooks'
import { expectNoMoreThan, openDescriptors } from '../connect/descriptors'
import { makeCertificate } from '../helpers/certificate'
import { coded } from '../helpers/coded'
import { closeLater, destroyLater, fullListener, listen, loopback } from '../sockets'

const certificate = makeCertificate()
const ca = certificate.cert

async function serve(): Promise<number> {
  const server = net.createServer((socket) => {
    destroyLater(socket)
    socket.resume()
  })
  return listen(server)
}

/** Starts a TLS server that records the server names of its clients, or false if there is none. */
async function serveTls(
  options: tls.TlsOptions = {},
): Promise<{ port: number; names: (string | false | null)[] }> {
  const names: (string | false | null)[] = []
  const server = tls.createServer({ ...certificate, ...options }, (socket) => {
    destroyLater(socket)
    // A client processes a session ticket when it reads the data after it.
    socket.write('ready')
    names.push((socket as tls.TLSSocket & { servername: string | false | null }).servername)
  })
  server.on('connection', destroyLater)
  return { port: await listen(server), names }
}

/** Returns the parameters that undici passes to a connector for an origin. */
function parameters(origin: string, port: number, more = {}): ConnectParameters {
  const [protocol = '', hostname = ''] = origin.split('//')
  const host = `${hostname}:${String(port)}`
  return { protocol, hostname, host, port: String(port), ...more }
}

/** Connects, and resolves with the socket of the callback. */
function connected(connector: ConnectFunction, asked: ConnectParameters): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    connector(asked, (error, socket) => {
      if (error !== null) {
        reject(error)
        return
      }
      destroyLater(socket)
      resolve(socket)
    })
  })
}

/** Connects over TLS with these options. */
async function overTls(
  options: TunedConnectorOptions | ConnectFunction,
  asked: ConnectParameters,
): Promise<tls.TLSSocket> {
  const connector = typeof options === 'function' ? options : tunedConnector({ ca, ...options })
  const socket = await connected(connector, asked)
  if (socket instanceof tls.TLSSocket) return socket
  throw new Error('not over TLS')
}

/** Connects, waits for the first bytes and closes. Resolves with whether the session was resumed. */
async function resumes(connector: ConnectFunction, asked: ConnectParameters): Promise<boolean> {
  const socket = await overTls(connector, asked)
  const [bytes] = (await once(socket, 'data')) as [Buffer]
  expect(String(bytes)).toBe('ready')
  const isReused = socket.isSessionReused()
  const closed = once(socket, 'close')
  socket.destroy()
  await closed
  return isReused
}

describe('a connector that times out', () => {
  it.each([
    ['http://127.0.0.1', {}],
    ['https://127.0.0.1', {}],
    ['http://some.test', { lookup: twice }],
    ['https://some.test', { lookup: twice }],
  ])("fails with undici's own error, and leaves nothing open: %s", async (origin, options) => {
    const port = fullListener()
    const before = openDescriptors()
    const connector = tunedConnector({ timeout: 30, ...options })
    const error = await failure(connector, parameters(origin, port))
    expect(error).toMatchObject({ name: 'ConnectTimeoutError', code: 'UND_ERR_CONNECT_TIMEOUT' })
    expect(error.message).toMatch(
      /^Connect Timeout Error \(attempted address: .*, timeout: 30ms\)$/,
    )
    await expectNoMoreThan(before)
  })

  it('includes the TLS handshake', async () => {
    const port = await serve()
    const lookup: net.LookupFunction = (name, options, callback) => {
      callback(null, [{ address: loopback[4], family: 4 }])
    }
    const silent = tunedConnector({ timeout: 30, lookup })
    expect(await failure(silent, parameters('https://a.test', port))).toBeInstanceOf(
      ConnectTimeoutError,
    )
  })

  it("fails with an instance of undici's own error class", async () => {
    const { errors } = await import('undici7')
    expect(new ConnectTimeoutError()).toBeInstanceOf(errors.ConnectTimeoutError)
    expect(new ConnectTimeoutError()).toBeInstanceOf(errors.UndiciError)
  })
})

describe('a connector with an AbortSignal', () => {
  it.each(['http', 'https'])(
    'makes the request fail once if it is aborted in an event of the client, over %s',
    async (protocol) => {
      const { Client } = await import('undici7')
      const port = protocol === 'http' ? await serve() : (await serveTls()).port
      const abort = new AbortController()
      const { signal } = abort
      const connect = tunedConnector({ ca, signal })
      const client = new Client(`${protocol}://localhost:${String(port)}`, { connect })
      const destroyed = new Promise<void>((resolve, reject) => {
        client.once('connect', () => {
          abort.abort()
          client.destroy().then(resolve, reject)
        })
      })
      const asked = client.request({ path: '/', method: 'GET' })
      await expect(asked).rejects.toMatchObject({ code: 'UND_ERR_DESTROYED' })
      await destroyed
    },
  )
})

/** A lookup with two addresses of a listener that does not answer. */
function twice(...[, , callback]: Parameters<net.LookupFunction>): void {
  const address = { address: loopback[4], family: 4 }
  callback(null, [address, address])
}

/** Resolves with the error of the callback, which must be called once and without a socket. */
async function failure(connector: ConnectFunction, asked: ConnectParameters): Promise<Error> {
  const told: unknown[][] = []
  const closed = new Promise<void>((resolve) => {
    const socket = connector(asked, (...result) => {
      told.push(result)
      if (socket === undefined) resolve()
    })
    socket?.once('close', () => {
      setImmediate(resolve)
    })
  })
  await closed
  expect(told).toHaveLength(1)
  const [[error, socket] = []] = told
  if (!types.isNativeError(error)) throw new Error('told of no error')
  expect(socket).toBeNull()
  return error
}

describe('a connector whose socket is destroyed while it connects', () => {
  it.each(['http://127.0.0.1', 'https://127.0.0.1', 'http://localhost', 'https://localhost'])(
    'calls back once, and leaves nothing open: %s',
    async (origin) => {
      const port = fullListener()
      const before = openDescriptors()
      const destroying = (...reason: [Error?]): ConnectFunction => {
        return (asked, callback) => tunedConnector()(asked, callback)?.destroy(...reason)
      }
      const asked = parameters(origin, port)
      expect(await failure(destroying(), asked)).toEqual(coded('ERR_SOCKET_TUNER_DESTROYED'))
      const reason = new Error('given up')
      expect(await failure(destroying(reason), asked)).toBe(reason)
      await expectNoMoreThan(before)
    },
  )
})

describe('the error of a connector that cannot connect', () => {
  it('is passed to the callback in a later tick', async () => {
    const connector = tunedConnector({ source: '127.0.0.2' })
    let told = 0
    const result = connector(parameters('http://::1', 80), (...[error, socket]) => {
      told++
      expect(error).toEqual(coded('ERR_SOCKET_TUNER_ADDRESS_FAMILY'))
      expect(socket).toBeNull()
    })
    expect({ result, told }).toEqual({ result: undefined, told: 0 })
    await new Promise(setImmediate)
    expect(told).toBe(1)
  })

  it.each([
    ['a localAddress beside a source', { localAddress: '127.0.0.3' }, 'ERR_INVALID_ARG_VALUE'],
    ['an httpSocket without TLS', { httpSocket: new net.Socket() }, 'ERR_INVALID_ARG_VALUE'],
    ['a socketPath beside a source', { socketPath: '/nowhere' }, 'ERR_INVALID_ARG_VALUE'],
    ['a port out of range', { port: '65536' }, 'ERR_SOCKET_BAD_PORT'],
  ])('is caused by %s', async (_, more, code) => {
    const connector = tunedConnector({ source: '127.0.0.2' })
    expect(await failure(connector, parameters('http://127.0.0.1', 80, more))).toEqual(coded(code))
  })
})

describe('a connector with settings for options that undici sets itself', () => {
  it('keeps its settings', async () => {
    const asked = parameters('http://127.0.0.1', await serve())
    const settings = { TCP_NODELAY: false, TCP_KEEPINTVL: 5 }
    const socket = await connected(tunedConnector({ settings }), asked)
    expect(getOption(socket, 'TCP_NODELAY')).toBe(false)
    expect(getOption(socket, 'TCP_KEEPINTVL')).toBe(5)
    expect(getOption(socket, 'TCP_KEEPIDLE')).toBe(60)
    expect(getOption(socket, 'SO_KEEPALIVE')).toBe(true)
  })

  it.each([
    [{ keepAlive: false }, false],
    [{ keepAlive: false, settings: { TCP_KEEPCNT: 3 } }, false],
    [{ settings: { SO_KEEPALIVE: false } }, false],
    [{ keepAliveInitialDelay: 5_000 }, 5],
    [{ keepAliveInitialDelay: 5_000, settings: { TCP_KEEPCNT: 3 } }, 5],
    [{ keepAliveInitialDelay: 5_000, settings: { TCP_KEEPIDLE: 7 } }, 7],
  ])('applies %o: keep-alive after %s s', async (options, expected) => {
    const asked = parameters('http://127.0.0.1', await serve())
    const socket = await connected(tunedConnector(options), asked)
    const isOn = getOption(socket, 'SO_KEEPALIVE')
    expect(isOn && getOption(socket, 'TCP_KEEPIDLE')).toBe(expected)
  })
})

describe('a connector over TLS', () => {
  it.each([
    ['the host of the URL', { host: 'localhost:1' }, {}, 'localhost'],
    ['its own servername', { host: 'localhost:1' }, { servername: 'own.test' }, 'own.test'],
    [
      'the servername of the request',
      { servername: 'a.test' },
      { servername: 'own.test' },
      'a.test',
    ],
    ['none for an IPv4 address', { host: '127.0.0.1:1' }, {}, false],
    ['none for an IPv6 address', { host: '[::1]:1' }, {}, false],
    ['none without a host', { host: undefined, servername: null }, {}, false],
  ])('sends as the server name %s', async (_, more, options, expected) => {
    const { port, names } = await serveTls()
    const asked = parameters('https://127.0.0.1', port, more)
    const socket = await overTls({ ...options, rejectUnauthorized: false }, asked)
    await once(socket, 'data')
    expect(names).toEqual([expected])
  })

  it.each([
    [{}, 'http/1.1'],
    [{ allowH2: true }, 'http/1.1'],
    [{ allowH2: true, preferH2: true }, 'h2'],
    [{ ALPNProtocols: ['h2'] }, 'h2'],
  ])('offers with %o the ALPN protocol %s first', async (options, expected) => {
    // The server chooses the first protocol of the client.
    const ALPNCallback = ({ protocols }: { protocols: string[] }) => protocols[0]
    const { port } = await serveTls({ ALPNCallback })
    const socket = await overTls(options, parameters('https://localhost', port))
    expect(socket.alpnProtocol).toBe(expected)
  })

  it('keeps a session for each of the most recent servers', async () => {
    const [first, second] = [await serveTls(), await serveTls()]
    const one = parameters('https://localhost', first.port)
    const two = parameters('https://localhost', second.port)
    const connector = tunedConnector({ ca, maxCachedSessions: 1 })
    expect(await resumes(connector, one)).toBe(false)
    expect(await resumes(connector, one)).toBe(true)
    expect(await resumes(connector, two)).toBe(false)
    expect(await resumes(connector, one)).toBe(false)
  })

  it('resumes only the session that undici passes if maxCachedSessions is 0', async () => {
    const { port } = await serveTls()
    const asked = parameters('https://localhost', port)
    const none = tunedConnector({ ca, maxCachedSessions: 0 })
    expect(await resumes(none, asked)).toBe(false)
    expect(await resumes(none, asked)).toBe(false)
    const socket = await overTls(none, asked)
    const [session] = (await once(socket, 'session')) as [Buffer]
    expect(await resumes(tunedConnector({ ca, session }), asked)).toBe(true)
  })

  it("adds TLS to an existing connection, with the connector's close mode", async () => {
    const { port } = await serveTls()
    const httpSocket = net.connect(port, loopback[4])
    await once(httpSocket, 'connect')
    const asked = parameters('https://localhost', port, { httpSocket })
    const socket = await overTls({}, asked)
    expect(socket.authorized).toBe(true)
    expect(policyOf(socket)).toMatchObject({ options: { mode: { name: 'deliver' } }, socket })
    expect(getOption(httpSocket, 'SO_KEEPALIVE')).toBe(true)
    socket.destroy()
    await once(socket, 'close')
    expect(httpSocket.destroyed).toBe(true)
  })

  it('keeps the close mode of a connection that already has one', async () => {
    const { port } = await serveTls()
    const httpSocket = await connected(
      tunedConnector({ close: 'lingering' }),
      parameters('http://127.0.0.1', port),
    )
    const socket = await overTls({}, parameters('https://localhost', port, { httpSocket }))
    expect(policyOf(socket)).toMatchObject({ options: { mode: { name: 'lingering' } }, socket })
  })
})

describe('a connector for a unix-domain socket', () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'socket-tuner-'))
  })
  afterAll(() => {
    rmSync(folder, { recursive: true })
  })

  it.each([
    ['its own', true],
    ["the client's", false],
  ])('uses %s socketPath', async (_, own) => {
    const server = net.createServer((socket) => socket.end('here'))
    closeLater(() => server.close())
    const socketPath = path.join(folder, own ? 'own' : 'other')
    server.listen(socketPath)
    await once(server, 'listening')
    const settings = { SO_SNDBUF: 50_000 }
    const connector = tunedConnector(own ? { socketPath, settings } : { settings })
    const asked = parameters('http://localhost', 80, own ? {} : { socketPath })
    const socket = await connected(connector, asked)
    expect(getOption(socket, 'SO_SNDBUF')).toBe(100_000)
    const [bytes] = (await once(socket, 'data')) as [Buffer]
    expect(String(bytes)).toBe('here')
  })

  it('fails if a setting has no effect on unix-domain sockets', async () => {
    const connector = tunedConnector({ settings: { IP_TTL: 61 } })
    const asked = parameters('http://localhost', 80, { socketPath: '/nowhere' })
    expect(await failure(connector, asked)).toEqual(coded('ERR_SOCKET_TUNER_WRONG_SOCKET'))
  })
})

describe('a connector for HTTP/2 without TLS', () => {
  it('marks its sockets with the property that undici checks', async () => {
    const asked = parameters('http://127.0.0.1', await serve())
    const socket = await connected(tunedConnector({ useH2c: true }), asked)
    expect(socket).toMatchObject({ alpnProtocol: 'h2' })
  })
})
