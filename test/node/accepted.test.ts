/** Contract tests: the assumptions of lib/node/accepted.ts about `socket.server`, on this release of Node. */
import { once } from 'node:events'
import * as http from 'node:http'
import * as net from 'node:net'
import * as tls from 'node:tls'
import { isAccepted, isAcceptedBy, isConnected, socketsAcceptedBy } from '../../lib/node/accepted'
import { makeCertificate } from '../helpers/certificate'
import { connectedPair, destroyLater, listen, loopback } from '../sockets'

const certificate = makeCertificate()

describe('net.Socket#server', () => {
  it('is the server that accepted the socket, and null on a socket that connected', async () => {
    const { server, client, accepted } = await connectedPair()
    expect((accepted as { server?: unknown }).server).toBe(server)
    expect((client as { server?: unknown }).server).toBeNull()
    expect([isAccepted(accepted), isAcceptedBy(server, accepted), isConnected(accepted)]).toEqual([
      true,
      true,
      false,
    ])
    expect([isAccepted(client), isAcceptedBy(server, client), isConnected(client)]).toEqual([
      false,
      false,
      true,
    ])
    expect(isAcceptedBy(net.createServer(), accepted)).toBe(false)
  })

  it('is the http server', async () => {
    const server = http.createServer()
    const port = await listen(server)
    const client = net.connect(port, loopback[4])
    destroyLater(client)
    const [accepted] = (await once(server, 'connection')) as [net.Socket]
    destroyLater(accepted)
    expect(isAcceptedBy(server, accepted)).toBe(true)
  })

  it('is the tls server on both sockets of an accepted TLS connection, and undefined on the client', async () => {
    const server = tls.createServer(certificate)
    const port = await listen(server)
    const client = tls.connect({
      host: loopback[4],
      port,
      ca: certificate.cert,
      servername: 'localhost',
    })
    destroyLater(client)
    const [[below], [accepted]] = (await Promise.all([
      once(server, 'connection'),
      once(server, 'secureConnection'),
    ])) as unknown as [[net.Socket], [tls.TLSSocket]]
    destroyLater(accepted)
    expect([isAcceptedBy(server, below), isAcceptedBy(server, accepted)]).toEqual([true, true])
    expect((client as { server?: unknown }).server).toBeUndefined()
    expect([isAccepted(client), isConnected(client)]).toEqual([false, false])
  })
})

describe('process._getActiveHandles()', () => {
  function portsOf(server: net.Server): unknown[] {
    return socketsAcceptedBy(server).map(({ remotePort }) => remotePort)
  }

  it('lists the open sockets that a server accepted', async () => {
    const { server, accepted } = await connectedPair()
    const other = await connectedPair()
    expect(portsOf(server)).toEqual([accepted.remotePort])
    accepted.destroy()
    expect(portsOf(server)).toEqual([])
    expect(portsOf(other.server)).toEqual([other.accepted.remotePort])
  })

  it('lists the socket below TLS, which closes with the TLS socket', async () => {
    const server = tls.createServer(certificate)
    const to = { host: loopback[4], port: await listen(server) }
    const client = tls.connect({ ...to, ca: certificate.cert, servername: 'localhost' })
    destroyLater(client)
    const [[below], [accepted]] = (await Promise.all([
      once(server, 'connection'),
      once(server, 'secureConnection'),
    ])) as unknown as [[net.Socket], [tls.TLSSocket]]
    expect(socketsAcceptedBy(server)[0]).toBe(below)
    expect(portsOf(server)).toHaveLength(1)
    const closed = once(accepted, 'close')
    below.destroy()
    await closed
    expect(accepted.destroyed).toBe(true)
  })

  it('lists the socket of a connection that an http server has upgraded', async () => {
    const server = http.createServer()
    const client = net.connect(await listen(server), loopback[4])
    destroyLater(client)
    const upgraded = once(server, 'upgrade') as Promise<[unknown, net.Socket]>
    client.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n')
    const [, socket] = await upgraded
    destroyLater(socket)
    expect(socketsAcceptedBy(server)[0]).toBe(socket)
    expect(portsOf(server)).toHaveLength(1)
  })
})
