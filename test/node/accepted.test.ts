/** Contract tests: what lib/node/accepted.ts takes `socket.server` to be, on the release that runs them. */
import { once } from 'node:events'
import * as http from 'node:http'
import * as net from 'node:net'
import * as tls from 'node:tls'
import { isAccepted, isAcceptedBy, isConnected } from '../../lib/node/accepted'
import { makeCertificate } from '../helpers/certificate'
import { connectedPair, destroyLater, listen, loopback } from '../sockets'

const certificate = makeCertificate()

describe('net.Socket#server', () => {
  it('is the server that accepted the socket, and null on one that connects', async () => {
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

  it('is the tls server on both sockets of a TLS connection, and undefined at its client', async () => {
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
