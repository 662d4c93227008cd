/** Contract tests: the connections that lib/node/every-socket.ts follows, on this release of Node. */
import { once } from 'node:events'
import * as http from 'node:http'
import * as http2 from 'node:http2'
import * as https from 'node:https'
import * as net from 'node:net'
import * as tls from 'node:tls'
import { followConnects, followListens, followTlsConnects } from '../../lib/node/every-socket'
import { transportFd } from '../../lib/node/handle'
import { makeCertificate } from '../helpers/certificate'
import { closeLater, destroyLater, handOver, listen, listeningSocket, loopback } from '../sockets'

const certificate = makeCertificate()
const trusting = { ca: certificate.cert, servername: 'localhost' }

/** Restores a method that the test replaces for the whole process. */
function restoreLater(owner: object, name: 'connect' | 'listen'): void {
  const own: unknown = Reflect.get(owner, name)
  closeLater(() => {
    Reflect.set(owner, name, own)
  })
}

describe('net.Socket.prototype.connect', () => {
  const clients: [string, (port: number) => NodeJS.EventEmitter | Promise<unknown>][] = [
    ['net.connect()', (port) => net.connect(port, loopback[4])],
    ['new net.Socket().connect()', (port) => new net.Socket().connect(port, loopback[4])],
    ['tls.connect()', (port) => tls.connect({ host: loopback[4], port, ...trusting })],
    ['http.get()', (port) => http.get({ host: loopback[4], port, agent: new http.Agent() })],
    ['https.get()', (port) => https.get({ host: loopback[4], port, agent: new https.Agent() })],
    ['http2.connect()', (port) => http2.connect(`http://${loopback[4]}:${String(port)}`)],
    ['fetch()', (port) => fetch(`http://${loopback[4]}:${String(port)}`)],
  ]
  it.each(clients)('is called by %s', async (_, connect) => {
    const server = net.createServer((socket) => {
      destroyLater(socket)
    })
    const port = await listen(server)
    restoreLater(net.Socket.prototype, 'connect')
    const followed = new Promise<net.Socket>((resolve) => {
      followConnects(
        (socket) => socket,
        (socket, known) => {
          expect(known).toBe(socket)
          resolve(socket)
        },
      )
    })
    const client = connect(port)
    if ('on' in client) client.on('error', () => undefined)
    else client.catch(() => undefined)
    const socket = await followed
    destroyLater(socket)
    await once(server, 'connection')
  })

  it.each<[string, (to: net.TcpNetConnectOpts) => NodeJS.EventEmitter]>([
    ['net.connect()', (to) => net.connect(to)],
    ['new net.Socket().connect()', (to) => new net.Socket().connect(to)],
    ['tls.connect()', (to) => tls.connect({ ...to, ...trusting } as tls.ConnectionOptions)],
    ['http.get()', (to) => http.get({ ...to, agent: new http.Agent() })],
    ['https.get()', (to) => https.get({ ...to, agent: new https.Agent() })],
  ])('is followed for %s, with its options', async (_, connect) => {
    const port = await listen(net.createServer(destroyLater))
    restoreLater(net.Socket.prototype, 'connect')
    const followed = new Promise<object | undefined>((resolve) => {
      followConnects(
        (socket, options) => {
          destroyLater(socket)
          resolve(options)
          return undefined
        },
        () => undefined,
      )
    })
    const to = { host: loopback[4], port, localAddress: '127.0.0.3' }
    connect(to).on('error', () => undefined)
    expect(await followed).toMatchObject(to)
  })

  describe('of a socket with a local address', () => {
    /** Connects, and returns the events at which the handle had a descriptor. */
    async function opened(options: Partial<net.TcpNetConnectOpts>): Promise<string[]> {
      const port = await listen(net.createServer(destroyLater))
      const local = { port, localAddress: '127.0.0.3' }
      const socket = net.connect({ ...local, ...options } as net.TcpNetConnectOpts)
      destroyLater(socket)
      const seen: string[] = []
      const note = (event: string): void => {
        seen.push(`${event}, ${transportFd(socket) < 0 ? 'not open' : 'open'}`)
      }
      note('connect()')
      for (const event of ['lookup', 'connectionAttempt']) {
        socket.on(event, () => {
          note(event)
        })
      }
      await once(socket, 'connect')
      return seen
    }

    it("binds to it between 'lookup' and 'connectionAttempt', and tries only one address", async () => {
      const lookup: net.LookupFunction = (_name, { all = false }, callback) => {
        const found = [loopback[4], '127.0.0.9'].map((address) => ({ address, family: 4 }))
        process.nextTick(callback, null, all ? found : loopback[4], 4)
      }
      expect(await opened({ host: 'a.test', lookup })).toEqual([
        'connect(), not open',
        'lookup, not open',
        'connectionAttempt, open',
      ])
    })

    it('binds to it in a later tick if the host is an address', async () => {
      expect(await opened({ host: loopback[4] })).toEqual([
        'connect(), not open',
        'connectionAttempt, open',
      ])
    })
  })

  it('is not followed any further if `before` returns undefined', async () => {
    const port = await listen(net.createServer(destroyLater))
    restoreLater(net.Socket.prototype, 'connect')
    const after = jest.fn()
    followConnects(() => undefined, after)
    const socket = net.connect(port, loopback[4])
    destroyLater(socket)
    await once(socket, 'connect')
    expect(after).not.toHaveBeenCalled()
  })
})

describe('net.Server.prototype.listen', () => {
  const servers: [string, () => net.Server][] = [
    ['net', () => net.createServer()],
    ['http', () => http.createServer()],
    ['https', () => https.createServer(certificate)],
    ['http2', () => http2.createServer()],
    ['secure http2', () => http2.createSecureServer(certificate)],
    ['tls', () => tls.createServer(certificate)],
  ]
  it.each(servers)('is called by a server of %s', async (_, create) => {
    restoreLater(net.Server.prototype, 'listen')
    const followed: net.Server[] = []
    followListens((server) => followed.push(server))
    const server = create()
    await listen(server)
    expect(followed[0]).toBe(server)
  })

  it('is not followed if the program passes a descriptor or a handle', async () => {
    restoreLater(net.Server.prototype, 'listen')
    const after = jest.fn()
    const [first, second] = [net.createServer(), net.createServer()]
    closeLater(() => {
      first.close()
      second.close()
    })
    first.listen({ fd: handOver(listeningSocket()) })
    await once(first, 'listening')
    followListens(after)
    second.listen({ fd: handOver(listeningSocket()) })
    await once(second, 'listening')
    expect(after).not.toHaveBeenCalled()
  })
})

describe('tls.connect', () => {
  it('can be replaced for the program and for ES modules', async () => {
    const port = await listen(tls.createServer(certificate, destroyLater))
    const exported = process.getBuiltinModule('node:tls') as { connect: unknown }
    restoreLater(exported, 'connect')
    const after = jest.fn()
    followTlsConnects(after)
    const { connect } = process.getBuiltinModule('node:tls')
    const carrier = net.connect(port, loopback[4])
    const socket = connect({ socket: carrier, ...trusting })
    destroyLater(socket)
    await once(socket, 'secureConnect')
    expect(after.mock.calls).toEqual([[socket]])
  })
})
