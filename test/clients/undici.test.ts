import { execFile } from 'node:child_process'
import * as http from 'node:http'
import * as http2 from 'node:http2'
import * as net from 'node:net'
import * as path from 'node:path'
import type { TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import { SourcePool, getOption } from '../../lib'
import { tunedConnector } from '../../lib/clients/undici'
import { native } from '../../lib/kernel/binding'
import { expectNoMoreThan, openDescriptors } from '../connect/descriptors'
import { makeCertificate } from '../helpers/certificate'
import { coded } from '../helpers/coded'
import { countNewStates } from '../helpers/new-connections'
import { until } from '../helpers/until'
import { boundSocket, closeLater, listen, succeed } from '../sockets'
import { describeReleases, watched, type Undici, type UndiciClient } from './undici-releases'

const run = promisify(execFile)
const certificate = makeCertificate()
const ca = certificate.cert

/** Answers with the address of the client. */
function fromWhere(request: http.IncomingMessage, response: http.ServerResponse): void {
  response.end(request.socket.remoteAddress)
}

/** Answers with the HTTP version and the TLS server name, or false if there is none. */
function overWhat(
  { httpVersion, socket }: http2.Http2ServerRequest,
  response: http2.Http2ServerResponse,
): void {
  const { servername } = socket as TLSSocket & { servername?: unknown }
  response.end(`HTTP/${httpVersion} ${String(servername)}`)
}

async function serve(host = '127.0.0.1'): Promise<number> {
  const server = http.createServer(fromWhere)
  closeLater(() => {
    server.closeAllConnections()
  })
  return listen(server, host)
}

function serveTls(): Promise<number> {
  return listen(http2.createSecureServer({ ...certificate, allowHTTP1: true }, overWhat))
}

/** undici 6 emits a warning about HTTP/2 itself. */
beforeEach(() => {
  jest.spyOn(process, 'emitWarning').mockImplementation()
})
afterEach(() => {
  jest.restoreAllMocks()
})

describeReleases('tunedConnector under an Agent', (load, version) => {
  let undici: Undici
  const open: UndiciClient[] = []
  beforeAll(async () => {
    undici = await load()
  })
  afterEach(async () => {
    await Promise.all(open.splice(0).map((client) => client.destroy()))
  })

  function later<C extends UndiciClient>(client: C): C {
    open.push(client)
    return client
  }

  /** Makes one request on its own connection, and closes it. */
  async function ask(url: string, options: ConstructorParameters<Undici['Agent']>[0]) {
    const agent = later(new undici.Agent(options))
    const { body } = await undici.request(url, { dispatcher: agent })
    const text = await body.text()
    await agent.close()
    return text
  }

  it('applies its settings beside the options that undici sets', async () => {
    const port = await serve()
    const settings = { TCP_USER_TIMEOUT: 12_345, TCP_MAXSEG: 1_000 }
    const { connect, sockets } = watched(tunedConnector({ settings }))
    const agent = later(new undici.Agent({ connect, connections: 1 }))
    for (let i = 0; i < 3; i++) {
      const { body } = await undici.request(`http://127.0.0.1:${String(port)}/`, {
        dispatcher: agent,
      })
      expect(await body.text()).toBe('127.0.0.1')
    }
    expect(sockets).toHaveLength(1)
    const [socket = -1] = sockets
    expect(getOption(socket, 'TCP_USER_TIMEOUT')).toBe(12_345)
    expect(getOption(socket, 'TCP_MAXSEG')).toBeLessThanOrEqual(1_000)
    expect(getOption(socket, 'TCP_NODELAY')).toBe(true)
    expect(getOption(socket, 'SO_KEEPALIVE')).toBe(true)
    expect(getOption(socket, 'TCP_KEEPIDLE')).toBe(60)
  })

  it('leaves no TIME_WAIT if undici closes, except with close: fin', async () => {
    const port = await serve()
    const states = () => countNewStates({ remotePort: port })
    const url = `http://127.0.0.1:${String(port)}/`
    await ask(url, { connect: tunedConnector() })
    await until('the connection is over', states, (counts) => Object.keys(counts).length === 0)
    await ask(url, { connect: tunedConnector({ close: 'fin' }) })
    await until('the connection is over', states, ({ TIME_WAIT }) => TIME_WAIT === 1)
  })

  it('speaks HTTP/1.1 over TLS, and resumes the session on the second connection', async () => {
    const port = await serveTls()
    const url = `https://localhost:${String(port)}/`
    const { connect, sockets, resumed } = watched(tunedConnector({ ca }))
    expect(await ask(url, { connect })).toBe('HTTP/1.1 localhost')
    expect(await ask(url, { connect })).toBe('HTTP/1.1 localhost')
    expect(sockets).toMatchObject([{ alpnProtocol: 'http/1.1' }, { alpnProtocol: 'http/1.1' }])
    expect(resumed).toEqual([false, true])
  })

  it('speaks HTTP/2 if allowH2 is true, and resumes the session', async () => {
    const port = await serveTls()
    const url = `https://localhost:${String(port)}/`
    const { connect, resumed } = watched(tunedConnector({ ca, allowH2: true }))
    expect(await ask(url, { connect })).toBe('HTTP/2.0 localhost')
    expect(await ask(url, { connect })).toBe('HTTP/2.0 localhost')
    expect(resumed).toEqual([false, true])
  })

  const tellsH2 = version === 6 ? 'does not receive' : 'obeys'
  it(`${tellsH2} the client's allowH2 if it has none of its own`, async () => {
    const port = await serveTls()
    const url = `https://localhost:${String(port)}/`
    const expected = version === 6 ? 'HTTP/1.1 localhost' : 'HTTP/2.0 localhost'
    expect(await ask(url, { connect: tunedConnector({ ca }), allowH2: true })).toBe(expected)
    expect(await ask(url, { connect: tunedConnector({ ca }) })).toBe('HTTP/1.1 localhost')
    const own = tunedConnector({ ca, allowH2: false })
    expect(await ask(url, { connect: own, allowH2: true })).toBe('HTTP/1.1 localhost')
  })

  it('refuses a certificate that it cannot verify, and sends no server name for an IP address', async () => {
    const port = await serveTls()
    const url = `https://127.0.0.1:${String(port)}/`
    const refused = coded('DEPTH_ZERO_SELF_SIGNED_CERT')
    await expect(ask(url, { connect: tunedConnector() })).rejects.toEqual(refused)
    const altName = coded('ERR_TLS_CERT_ALTNAME_INVALID')
    await expect(ask(url, { connect: tunedConnector({ ca }) })).rejects.toEqual(altName)
    const lax = tunedConnector({ rejectUnauthorized: false })
    expect(await ask(url, { connect: lax })).toBe('HTTP/1.1 false')
  })

  it('works with fetch()', async () => {
    const port = await serve()
    const { connect, sockets } = watched(tunedConnector({ settings: { IP_TTL: 61 } }))
    const agent = later(new undici.Agent({ connect }))
    const response = await undici.fetch(`http://localhost:${String(port)}/`, { dispatcher: agent })
    expect(await response.text()).toBe('127.0.0.1')
    expect(getOption(sockets[0] ?? -1, 'IP_TTL')).toBe(61)
  })

  it("works with setGlobalDispatcher() for undici's fetch and for Node's own", async () => {
    const program = path.join(__dirname, 'undici-fetch-program.js')
    const { stdout } = await run(process.execPath, [program, String(version)])
    expect(JSON.parse(stdout)).toEqual({ undici: 61, node: 61 })
  })

  it('uses the source addresses of a pool', async () => {
    const port = await serve()
    const source = new SourcePool(['127.0.0.2', '127.0.0.3'])
    const connect = tunedConnector({ source })
    const url = `http://127.0.0.1:${String(port)}/`
    const agents = [1, 2].map(() => later(new undici.Agent({ connect })))
    const seen = []
    for (const dispatcher of agents) {
      const { body } = await undici.request(url, { dispatcher })
      seen.push(await body.text())
    }
    expect(seen.sort()).toEqual(['127.0.0.2', '127.0.0.3'])
  })

  it("uses the client's localAddress as its source", async () => {
    const port = await serve()
    const origin = `http://127.0.0.1:${String(port)}`
    const options = { localAddress: '127.0.0.9', connect: tunedConnector() }
    const client = later(new undici.Client(origin, options))
    const { body } = await undici.request(origin, { dispatcher: client })
    expect(await body.text()).toBe('127.0.0.9')
  })

  it('connects with its settings to the second address of a host if the first one is dead', async () => {
    const port = await serve('127.0.0.3')
    const lookup: net.LookupFunction = (name, options, callback) => {
      expect(name).toBe('two-addresses.test')
      callback(null, [
        { address: '127.0.0.2', family: 4 },
        { address: '127.0.0.3', family: 4 },
      ])
    }
    const settings = { TCP_USER_TIMEOUT: 12_345 }
    const { connect, sockets } = watched(tunedConnector({ lookup, settings }))
    const text = ask(`http://two-addresses.test:${String(port)}/`, {
      connect: (parameters, callback) =>
        connect(parameters, (...result) => {
          const [socket = -1] = sockets
          expect(getOption(socket, 'TCP_USER_TIMEOUT')).toBe(12_345)
          callback(...result)
        }),
    })
    expect(await text).toBe('127.0.0.1')
    expect(sockets[0]).toMatchObject({
      autoSelectFamilyAttemptedAddresses: [
        `127.0.0.2:${String(port)}`,
        `127.0.0.3:${String(port)}`,
      ],
    })
  })

  it('adds TLS to a tunnel through a CONNECT proxy', async () => {
    const port = await serveTls()
    const proxy = http.createServer().on('connect', (request, below: net.Socket, head) => {
      const [host, to] = request.url?.split(':') ?? []
      const above = net.connect(Number(to), host === 'localhost' ? '127.0.0.1' : host)
      above.on('error', () => below.destroy())
      below.on('error', () => above.destroy())
      below.write('HTTP/1.1 200 OK\r\n\r\n')
      above.write(head)
      above.pipe(below).pipe(above)
    })
    const proxyPort = await listen(proxy)
    const { connect, sockets } = watched(tunedConnector({ settings: { IP_TTL: 61 } }))
    const agent = later(
      new undici.ProxyAgent({
        uri: `http://127.0.0.1:${String(proxyPort)}/`,
        requestTls: { ca },
        clientFactory: (origin, options) => new undici.Pool(origin, { ...options, connect }),
      }),
    )
    const url = `https://localhost:${String(port)}/`
    const { body } = await undici.request(url, { dispatcher: agent })
    expect(await body.text()).toMatch(/^HTTP\/[12].[01] localhost$/)
    expect(getOption(sockets[0] ?? -1, 'IP_TTL')).toBe(61)
  })

  it('fails with a coded error if it cannot connect, and leaves no descriptor open', async () => {
    const port = await serve()
    const closed = String(succeed(native.localPort(boundSocket())))
    const before = openDescriptors()
    const connect = tunedConnector({ source: '127.0.0.2' })
    const wrongFamily = coded('ERR_SOCKET_TUNER_ADDRESS_FAMILY')
    await expect(ask(`http://[::1]:${String(port)}/`, { connect })).rejects.toEqual(wrongFamily)
    const refused = coded('ECONNREFUSED')
    await expect(ask(`http://127.0.0.1:${closed}/`, { connect })).rejects.toEqual(refused)
    await expectNoMoreThan(before)
  })

  it('leaves no descriptor open if its client is destroyed while it connects', async () => {
    const [port, tlsPort] = [await serve(), await serveTls()]
    const before = openDescriptors()
    const urls = [`http://localhost:${String(port)}`, `https://localhost:${String(tlsPort)}`]
    for (const origin of urls) {
      const client = new undici.Client(origin, { connect: tunedConnector({ ca }) })
      const answer = undici.request(origin, { dispatcher: client })
      const failed = expect(answer).rejects.toEqual(coded('UND_ERR_DESTROYED'))
      await client.destroy()
      await failed
    }
    await expectNoMoreThan(before)
  })
})
