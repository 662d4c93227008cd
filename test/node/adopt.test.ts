/** Contract tests: the assumptions of lib/node/adopt.ts about Node, on this release of Node. */
import { once } from 'node:events'
import * as net from 'node:net'
import { native } from '../../lib/kernel/binding'
import { connectOn, listenWith, socketOn } from '../../lib/node/adopt'
import { handleOf, transportFd } from '../../lib/node/handle'
import { socketPath } from '../options/targets'
import {
  boundSocket,
  closeLater,
  connectedPair,
  destroyLater,
  failureOf,
  handOver,
  listen,
  loopback,
  tcpSocket,
  unixSocket,
} from '../sockets'

describe('new net.Socket({ fd, manualStart })', () => {
  it('adopts the descriptor, and does not read from it before connect()', async () => {
    const port = await listen(net.createServer((peer) => peer.end('greeting')))
    const fd = handOver(tcpSocket())
    const socket = socketOn(fd)
    destroyLater(socket)
    expect(transportFd(socket)).toBe(fd)
    expect(handleOf(socket)).toMatchObject({ reading: false })
    socket.connect(port, loopback[4])
    await once(socket, 'connect')
    expect(transportFd(socket)).toBe(fd)
    const [data] = (await once(socket, 'data')) as [Buffer]
    expect(data.toString()).toBe('greeting')
  })

  it('uses the other options', () => {
    const socket = socketOn(handOver(tcpSocket()), { allowHalfOpen: true })
    destroyLater(socket)
    expect(socket.allowHalfOpen).toBe(true)
  })

  it('fails with EEXIST for a descriptor of another socket of this process', async () => {
    const { client } = await connectedPair()
    const error = failureOf(() => socketOn(transportFd(client)))
    expect(error).toMatchObject({ code: 'EEXIST' })
    expect(native.localPort(transportFd(client))).toBe(client.localPort)
  })
})

describe('net.connect({ path, fd, manualStart })', () => {
  it('connects the given descriptor', async () => {
    const path = socketPath()
    const server = net.createServer((peer) => peer.end('greeting'))
    closeLater(() => server.close())
    server.listen(path)
    await once(server, 'listening')
    const fd = handOver(unixSocket())
    const connected = jest.fn()
    const socket = connectOn(fd, { path }, connected)
    destroyLater(socket)
    expect(transportFd(socket)).toBe(fd)
    const [data] = (await once(socket, 'data')) as [Buffer]
    expect(data.toString()).toBe('greeting')
    expect(connected).toHaveBeenCalledTimes(1)
  })
})

describe('net.Server#listen(socket, backlog)', () => {
  it("removes the socket's _handle", async () => {
    const fd = handOver(boundSocket())
    const holder = socketOn(fd)
    const handle = handleOf(holder)
    const server = net.createServer((peer) => peer.end('greeting'))
    closeLater(() => server.close())
    const listening = jest.fn()
    listenWith(server, holder, 16, listening)
    expect(handleOf(server)).toBe(handle)
    expect(handleOf(holder)).toBeUndefined()
    holder.destroy()
    await once(server, 'listening')
    expect(listening).toHaveBeenCalledTimes(1)
    expect(handleOf(server)?.fd).toBe(fd)
    const { port } = server.address() as net.AddressInfo
    const client = net.connect(port, loopback[4])
    destroyLater(client)
    await once(client, 'data')
  })
})
