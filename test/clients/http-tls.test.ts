import * as https from 'node:https'
import type * as net from 'node:net'
import * as tls from 'node:tls'
import { closeSocket, getOption } from '../../lib'
import { TunedHttpsAgent, type TunedHttpsAgentOptions } from '../../lib/clients/http'
import { expectNoMoreThan, openDescriptors } from '../connect/descriptors'
import { makeCertificate } from '../helpers/certificate'
import { coded } from '../helpers/coded'
import { answer, type Script, type ScriptedServer } from '../helpers/scripted-server'
import {
  ask,
  begin,
  expectNothingLeft,
  held,
  noneWarmed,
  serve,
  unnoticed,
  use,
  type Answer,
  type Question,
  untilClosed,
} from './asking'

const certificate = makeCertificate()
const versions = ['TLSv1.2', 'TLSv1.3'] as const
const trusting = { ca: certificate.cert, servername: 'localhost' }

function serveTls(script?: Script): Promise<ScriptedServer> {
  return serve(script, certificate)
}

function agentWith(options: TunedHttpsAgentOptions = {}): TunedHttpsAgent {
  return use(new TunedHttpsAgent({ ...trusting, ...options }))
}

/** The negotiated TLS properties. */
type Agreed = Pick<tls.TLSSocket, 'isSessionReused' | 'alpnProtocol'> & { servername: string }

function agreed(socket: object): Agreed {
  return socket as Agreed
}

/** Makes a request on its own connection, and waits until the connection is closed. */
async function askAlone(
  server: ScriptedServer,
  agent: TunedHttpsAgent,
  question: Question = {},
): Promise<{ reused: boolean }> {
  let reused = false
  const { request, answer: answered } = begin(server, agent, question)
  request.once('socket', (socket) => {
    socket.once('secureConnect', () => {
      reused = agreed(socket).isSessionReused()
    })
  })
  await answered
  return { reused }
}

describe('TunedHttpsAgent', () => {
  it('finds a connection under the name that a subclass gives it', async () => {
    class Divided extends TunedHttpsAgent {
      override getName(options?: https.RequestOptions): string {
        return `${super.getName(options)}/a`
      }
    }
    const server = await serveTls()
    const agent = use(new Divided(trusting))
    await ask(server, agent)
    await ask(server, agent, { method: 'POST' })
    expect(agent.counters()).toMatchObject({ created: 1, reused: 1 })
    unnoticed(server)
    await ask(server, agent, { method: 'POST' })
    expect(agent.counters()).toMatchObject({
      created: 2,
      reused: 1,
      deadBeforeReuse: 1,
      retried: 0,
    })
  })

  it.each(versions)('keeps its connections alive and counts its work (%s)', async (version) => {
    const server = await serveTls()
    const settings = { TCP_USER_TIMEOUT: 12_345 }
    const agent = agentWith({ settings, minVersion: version, maxVersion: version })
    expect(agent).toBeInstanceOf(https.Agent)
    const answers: Answer[] = []
    for (const method of ['GET', 'POST', 'POST']) {
      answers.push(await ask(server, agent, { method }))
    }
    expect(agent.counters()).toEqual({
      ...noneWarmed,
      created: 1,
      reused: 2,
      deadBeforeReuse: 0,
      expired: 0,
      retried: 0,
    })
    const [{ socket } = {}] = answers
    expect(socket).toBeInstanceOf(tls.TLSSocket)
    if (socket !== undefined) expect(getOption(socket, 'TCP_USER_TIMEOUT')).toBe(12_345)
    await expectNothingLeft(agent, server)
  })

  it('sends the name in the Host header as the server name', async () => {
    const server = await serveTls()
    const agent = use(new TunedHttpsAgent({ ca: certificate.cert }))
    const { socket } = await ask(server, agent, { headers: { host: 'localhost:1' } })
    expect(agreed(socket).servername).toBe('localhost')
    await expect(ask(server, agent, { headers: { host: 'else.test' } })).rejects.toEqual(
      coded('ERR_TLS_CERT_ALTNAME_INVALID'),
    )
  })

  it('offers its protocols with ALPN', async () => {
    const server = await serve(undefined, { ...certificate, ALPNProtocols: ['http/1.1'] } as never)
    const { socket } = await ask(server, agentWith({ ALPNProtocols: ['h2', 'http/1.1'] }))
    expect(agreed(socket).alpnProtocol).toBe('http/1.1')
  })

  it.each(versions)('resumes its sessions (%s)', async (version) => {
    const server = await serveTls()
    const agent = agentWith({ keepAlive: false, minVersion: version, maxVersion: version })
    expect(await askAlone(server, agent)).toEqual({ reused: false })
    expect(await askAlone(server, agent)).toEqual({ reused: true })
  })

  it('resumes no session with maxCachedSessions: 0', async () => {
    const server = await serveTls()
    const agent = agentWith({ keepAlive: false, maxCachedSessions: 0 })
    for (let i = 0; i < 2; i++) expect(await askAlone(server, agent)).toEqual({ reused: false })
  })

  it('forgets the session of a connection that failed', async () => {
    const server = await serveTls()
    const agent = agentWith({ keepAlive: false })
    await askAlone(server, agent)
    server.script = (socket) => {
      void closeSocket(socket, 'reset')
    }
    const { answer: answered, events } = begin(server, agent)
    await expect(answered).rejects.toEqual(coded('ECONNRESET'))
    await untilClosed(events)
    server.script = (socket) => {
      answer(socket)
    }
    expect(await askAlone(server, agent)).toEqual({ reused: false })
  })

  it.each([
    ["the agent's", { timeout: 50 }, {}],
    ["the request's", {}, { timeout: 50 }],
  ])('applies %s timeout', async (_whose, options, question) => {
    const server = await serveTls(() => undefined)
    const agent = agentWith(options)
    const { request, answer: answered } = begin(server, agent, question)
    await new Promise((resolve) => request.once('timeout', resolve))
    request.destroy()
    await expect(answered).rejects.toEqual(coded('ECONNRESET'))
    await expectNothingLeft(agent, server)
  })

  it('applies its settings after the options that Node sets', async () => {
    const server = await serveTls()
    const agent = agentWith({ settings: { TCP_KEEPIDLE: 77, TCP_NODELAY: false } })
    for (let i = 0; i < 2; i++) {
      const { socket } = await ask(server, agent)
      expect(getOption(socket, 'TCP_KEEPIDLE')).toBe(77)
      expect(getOption(socket, 'TCP_NODELAY')).toBe(false)
    }
  })

  it("has Node's error codes, and leaves no descriptor open", async () => {
    const server = await serveTls()
    server.close()
    const before = openDescriptors()
    const agent = agentWith()
    const { answer: answered, events } = begin(server, agent)
    await expect(answered).rejects.toMatchObject({ code: 'ECONNREFUSED', syscall: 'connect' })
    await untilClosed(events)
    expect(events.filter((event) => event === 'error')).toHaveLength(1)
    await expectNothingLeft(agent, server)
    await expectNoMoreThan(before)
  })

  it.each<[string, tls.SecureContextOptions]>([
    ['ERR_SSL_NO_CIPHER_MATCH', { ciphers: 'NO-SUCH-CIPHER' }],
    ['ERR_OSSL_PEM_NO_START_LINE', { cert: 'no certificate' }],
    ['ERR_TLS_INVALID_PROTOCOL_VERSION', { minVersion: 'TLSv0' as 'TLSv1' }],
  ])(
    'makes the request fail with %s if TLS refuses an option, and leaves no descriptor open',
    async (code, options) => {
      const server = await serveTls()
      const before = openDescriptors()
      const agent = agentWith(options)
      await expect(ask(server, agent)).rejects.toThrow(coded(code))
      await expect(ask({ port: 1 }, agent)).rejects.toThrow(coded(code))
      await expectNoMoreThan(before)
    },
  )

  it.each(['connect', 'secureConnect'])(
    "makes the request fail once if the agent's signal is aborted in '%s'",
    async (event) => {
      const server = await serveTls()
      const before = openDescriptors()
      const controller = new AbortController()
      const { signal } = controller
      const agent = agentWith({ signal } as TunedHttpsAgentOptions)
      const { request, answer: answered } = begin(server, agent)
      request.once('socket', (socket) => {
        socket.once(event, () => {
          controller.abort()
          request.destroy()
        })
      })
      await expect(answered).rejects.toThrow(coded('ABORT_ERR'))
      await expectNoMoreThan(before)
    },
  )

  it('does not reuse an idle connection that its server has closed', async () => {
    const server = await serveTls()
    const agent = agentWith()
    await ask(server, agent)
    unnoticed(server)
    await ask(server, agent, { method: 'POST' })
    expect(agent.counters()).toMatchObject({ created: 2, reused: 0, retried: 0 })
    await expectNothingLeft(agent, server)
  })

  it.each([
    ['close_notify and a FIN', (socket: net.Socket) => socket.end()],
    ['a FIN alone', (socket: net.Socket) => socket.destroy()],
  ])('resends a request whose connection ends with %s', async (_what, fail) => {
    const server = await serveTls((socket, { nth }) => {
      if (nth === 1) answer(socket)
      else fail(socket)
    })
    const agent = agentWith()
    await ask(server, agent)
    const question = { method: 'PUT', body: 'something' }
    expect((await ask(server, agent, question)).body).toBe('answer')
    expect(server.asked.map(({ body, connection }) => [body, connection])).toEqual([
      ['', 1],
      ['something', 1],
      ['something', 2],
    ])
    expect(agent.counters()).toMatchObject({ created: 2, reused: 1, retried: 1 })
    expect(held(agent)).toEqual({ busy: 0, idle: 1, waiting: 0, total: 1 })
    await expectNothingLeft(agent, server)
  })
})
