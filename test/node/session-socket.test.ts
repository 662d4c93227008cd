/** Contract tests: the assumptions of lib/node/session-socket.ts about Http2Session#socket, on this release of Node. */
import { once } from 'node:events'
import * as http2 from 'node:http2'
import * as net from 'node:net'
import { isSessionSocket, isUnbound, ownSocket } from '../../lib/node/session-socket'
import { closeLater, failureOf, listen, loopback } from '../sockets'

async function sessions(): Promise<{
  client: http2.ClientHttp2Session
  accepted: http2.ServerHttp2Session
}> {
  const server = http2.createServer()
  const port = await listen(server)
  const client = http2.connect(`http://${loopback[4]}:${String(port)}`)
  closeLater(() => {
    client.destroy()
  })
  const [[accepted]] = (await Promise.all([
    once(server, 'session'),
    once(client, 'connect'),
  ])) as unknown as [[http2.ServerHttp2Session]]
  return { client, accepted }
}

describe('Http2Session#socket', () => {
  it("is a proxy whose off() returns the session's own socket", async () => {
    const server = http2.createServer()
    const port = await listen(server)
    const own = net.connect(port, loopback[4])
    const client = http2.connect(`http://${loopback[4]}:${String(port)}`, {
      createConnection: () => own,
    })
    closeLater(() => {
      client.destroy()
    })
    await once(client, 'connect')
    expect(client.socket).not.toBe(own)
    expect(ownSocket(client.socket)).toBe(own)
    expect(isSessionSocket(client.socket)).toBe(true)
  })

  it('is a proxy on a server too', async () => {
    const { accepted } = await sessions()
    expect(isSessionSocket(accepted.socket)).toBe(true)
    expect(ownSocket(accepted.socket)).toBeInstanceOf(net.Socket)
  })

  it('throws ERR_HTTP2_SOCKET_UNBOUND for every property after the session is destroyed', async () => {
    const { client } = await sessions()
    const { socket } = client
    client.destroy()
    for (const name of ['destroySoon', 'listen', 'addMembership', '_handle'] as const) {
      const error = failureOf(() => (socket as unknown as Record<string, unknown>)[name])
      expect([name, error.code, isUnbound(error)]).toEqual([name, 'ERR_HTTP2_SOCKET_UNBOUND', true])
    }
  })
})

describe('an object that is not the socket of a session', () => {
  it('is not taken for such a proxy', () => {
    const socket = new net.Socket()
    expect(isSessionSocket(socket)).toBe(false)
    expect(ownSocket(socket)).toBe(socket)
  })

  it('passes on its own errors', () => {
    expect([new Error('other'), undefined, null, 'text'].map(isUnbound)).toEqual([
      false,
      false,
      false,
      false,
    ])
  })
})
