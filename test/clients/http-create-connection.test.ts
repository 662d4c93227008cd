/** createConnection() of the agents, which programs and other agents call as they call Node's own. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import * as http from 'node:http'
import * as https from 'node:https'
import * as net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tls from 'node:tls'
import { getOption } from '../../lib'
import { TunedAgent, TunedHttpsAgent } from '../../lib/clients/http'
import { policyOf } from '../../lib/close/hooks'
import { makeCertificate } from '../helpers/certificate'
import { coded } from '../helpers/coded'
import { closeLater, destroyLater, listen, loopback } from '../sockets'
import { use } from './asking'

type Create = (...args: unknown[]) => net.Socket

function createOf(agent: http.Agent): Create {
  return use(agent).createConnection.bind(agent) as unknown as Create
}

const settings = { TCP_KEEPIDLE: 77 }
const host = loopback[4]

/** The forms of arguments that http.Agent and net.createConnection() accept. */
const forms: Record<string, (port: number, callback: () => void) => unknown[]> = {
  '(options)': (port) => [{ host, port }],
  '(options, callback)': (port, callback) => [{ host, port }, callback],
  '(port)': (port) => [port],
  '(port, callback)': (port, callback) => [port, callback],
  '(port, host)': (port) => [port, host],
  '(port, host, callback)': (port, callback) => [port, host, callback],
  '(port as digits, host)': (port) => [String(port), host],
  '(port, host, options)': (port) => [port, host, {}],
  '(port, options)': (port) => [port, { host }],
  '(port, options, callback)': (port, callback) => [port, { host }, callback],
}

describe.each(Object.keys(forms))('TunedAgent.createConnection%s', (form) => {
  it('returns a tuned net.Socket, and calls back at the same time as http.Agent', async () => {
    const port = await listen(net.createServer(destroyLater))
    const calls: unknown[][] = []
    for (const agent of [new http.Agent(), new TunedAgent({ settings })]) {
      const seen: unknown[] = []
      const args = forms[form]?.(port, (...given: unknown[]) => seen.push(['called', ...given]))
      const socket = createOf(agent)(...(args ?? []))
      expect(socket).toBeInstanceOf(net.Socket)
      destroyLater(socket)
      seen.push('returned')
      socket.once('ready', () => seen.push('ready'))
      await once(socket, 'ready')
      if (agent instanceof TunedAgent) {
        expect(getOption(socket, 'TCP_KEEPIDLE')).toBe(77)
        expect(policyOf(socket)?.options.mode.name).toBe('deliver')
      }
      calls.push(seen)
    }
    expect(calls[1]).toEqual(calls[0])
  })
})

it('TunedAgent.createConnection(path, callback) connects to a unix-domain socket', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'socket-tuner-'))
  closeLater(() => {
    rmSync(folder, { recursive: true })
  })
  const path = join(folder, 'socket')
  const server = net.createServer(destroyLater)
  closeLater(() => server.close())
  server.listen(path)
  await once(server, 'listening')
  await new Promise<void>((resolve) => {
    destroyLater(createOf(new TunedAgent())(path, resolve))
  })
})

it.each<[string, unknown[]]>([
  ['no arguments', []],
  ['a port out of range', [{ port: 65_536 }]],
  ['no port', [{ host }]],
])('TunedAgent.createConnection() throws the same error as http.Agent for %s', (_, args) => {
  const errors = [new http.Agent(), new TunedAgent()].map((agent) => {
    const callback = jest.fn()
    let code: unknown
    try {
      createOf(agent)(...args, callback)
    } catch (error) {
      ;({ code } = error as NodeJS.ErrnoException)
    }
    expect(callback).not.toHaveBeenCalled()
    return code
  })
  expect(errors[0]).toEqual(expect.any(String))
  expect(errors[1]).toBe(errors[0])
})

describe('TunedHttpsAgent.createConnection()', () => {
  const certificate = makeCertificate()
  const rejectUnauthorized = false
  const tlsForms: Record<string, (port: number) => unknown[]> = {
    '(options)': (port) => [{ host, port, rejectUnauthorized }],
    '(port, options)': (port) => [port, { host, rejectUnauthorized }],
    '(port, host, options)': (port) => [port, host, { rejectUnauthorized }],
    '(options, callback)': (port) => [{ host, port, rejectUnauthorized }, () => undefined],
  }

  it.each(Object.keys(tlsForms))('returns a tuned TLSSocket in the form %s', async (form) => {
    const server = tls.createServer(certificate, destroyLater)
    const port = await listen(server)
    for (const agent of [new https.Agent(), new TunedHttpsAgent({ settings })]) {
      const socket = createOf(agent)(...(tlsForms[form]?.(port) ?? []))
      expect(socket).toBeInstanceOf(tls.TLSSocket)
      destroyLater(socket)
      await once(socket, 'secureConnect')
      if (agent instanceof TunedHttpsAgent) {
        expect(getOption(socket, 'TCP_KEEPIDLE')).toBe(77)
        expect(policyOf(socket)?.options.mode.name).toBe('deliver')
      }
    }
  })

  it('adds TLS to an existing socket', async () => {
    const port = await listen(tls.createServer(certificate, destroyLater))
    const carrier = net.connect(port, host)
    destroyLater(carrier)
    const agent = new TunedHttpsAgent()
    const socket = createOf(agent)({ socket: carrier, rejectUnauthorized })
    destroyLater(socket)
    await once(socket, 'secureConnect')
  })

  it('throws for invalid options', () => {
    const create = createOf(new TunedHttpsAgent())
    expect(() => create({ host, port: 65_536 })).toThrow(coded('ERR_SOCKET_BAD_PORT'))
  })
})
