import { once } from 'node:events'
import * as http from 'node:http'
import * as net from 'node:net'
import { connect, getOption, listen, prepareSocket, type ListenOptions } from '../../lib'
import { TunedAgent } from '../../lib/clients/http'
import { coded } from '../helpers/coded'
import { closeLater, destroyLater, mptcpSocket } from '../sockets'

/** False on a kernel without MPTCP, or with net.mptcp.enabled=0: TCP is used there. */
const hasMptcp = mptcpSocket() >= 0
/** IPPROTO_MPTCP and IPPROTO_TCP. */
const PROTOCOL = hasMptcp ? 262 : 6

interface Echo {
  readonly server: net.Server
  readonly port: number
}

async function serveEcho(options: ListenOptions = { mptcp: true }): Promise<Echo> {
  const server = net.createServer((socket) => socket.on('error', () => undefined).pipe(socket))
  closeLater(() => server.close())
  const { port } = (await listen(server, { host: '127.0.0.1', ...options })) as net.AddressInfo
  return { server, port }
}

async function echoOf(socket: net.Socket): Promise<string> {
  destroyLater(socket)
  socket.write('hello')
  const [chunk] = (await once(socket, 'data')) as [Buffer]
  return chunk.toString()
}

describe('the option mptcp', () => {
  it('makes connect() and listen() use MPTCP if the kernel has it, and TCP otherwise', async () => {
    const { server, port } = await serveEcho()
    const accepted = once(server, 'connection')
    const socket = connect({ port, host: '127.0.0.1', mptcp: true, close: 'deliver' })
    expect(await echoOf(socket)).toBe('hello')
    const [peer] = (await accepted) as [net.Socket]
    expect(getOption(server, 'SO_PROTOCOL')).toBe(PROTOCOL)
    expect(getOption(socket, 'SO_PROTOCOL')).toBe(PROTOCOL)
    expect(getOption(peer, 'SO_PROTOCOL')).toBe(PROTOCOL)
  })

  it('makes connect() fall back to TCP if the peer has no MPTCP', async () => {
    const { port } = await serveEcho({})
    const socket = connect({ port, host: '127.0.0.1', mptcp: true })
    expect(await echoOf(socket)).toBe('hello')
  })

  it('applies to each address of a host, and to a prepared socket', async () => {
    const { port } = await serveEcho()
    const named = connect({ port, host: 'localhost', mptcp: true })
    expect(await echoOf(named)).toBe('hello')
    expect(getOption(named, 'SO_PROTOCOL')).toBe(PROTOCOL)
    const prepared = prepareSocket({ mptcp: true }).connect(port, '127.0.0.1')
    expect(await echoOf(prepared)).toBe('hello')
    expect(getOption(prepared, 'SO_PROTOCOL')).toBe(PROTOCOL)
  })

  it('applies to the connections of an agent', async () => {
    const server = http.createServer((_, response) => response.end('ok'))
    closeLater(() => server.close())
    const { port } = await listen(server, { host: '127.0.0.1', mptcp: true })
    const agent = new TunedAgent({ mptcp: true })
    closeLater(() => {
      agent.destroy()
    })
    const request = http.get({ port, host: '127.0.0.1', agent })
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    expect(getOption(response.socket, 'SO_PROTOCOL')).toBe(PROTOCOL)
    response.resume()
    await once(response, 'end')
  })

  it('is refused with a path, and if it is not a boolean', () => {
    expect(() => connect({ path: '/nowhere', mptcp: true })).toThrow(coded('ERR_INVALID_ARG_VALUE'))
    expect(() => connect({ port: 1, mptcp: 'yes' as unknown as boolean })).toThrow(
      coded('ERR_INVALID_ARG_TYPE'),
    )
  })
})
