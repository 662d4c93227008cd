/** Closes that once went wrong, each by what made it do so. */
import { once } from 'node:events'
import * as http from 'node:http'
import * as http2 from 'node:http2'
import * as net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { duplexPair, pipeline } from './streams'
import { closeSocket, getOption, queueSizes, setCloseMode, setOption, tuneServer } from '../../lib'
import { until } from '../helpers/until'
import { closeLater } from '../sockets'
import { connected, Relay } from './pair'

const LARGE = 3_000_000
/** SO_SNDBUF and SO_RCVBUF that every system allows, whatever net.core.wmem_max and tcp_rmem are. */
const LARGE_BUFFER = 150_000
const SMALL_BUFFER = 4_608

async function listening(server: net.Server, path?: string): Promise<number> {
  closeLater(() => server.close())
  if (path === undefined) server.listen(0, '127.0.0.1')
  else server.listen(path)
  await once(server, 'listening')
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

function readError(): Error {
  return Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', syscall: 'read' })
}

describe('a close with an error of another stream', () => {
  it('keeps its mode in a pipeline whose source is reset', async () => {
    const source = await connected()
    const { client, peerClosed, left } = await connectedUnder('deliver')
    const over = new Promise((resolve) => {
      pipeline(source.client, client, resolve)
    })
    source.peer.resetAndDestroy()
    await over
    await peerClosed
    expect(await left()).toBeUndefined()
  })

  it('reports where TIME_WAIT is', async () => {
    const pair = await connected('tcp', { allowHalfOpen: true })
    const closing = closeSocket(pair.client, 'fin')
    pair.client.destroy(readError())
    expect(await closing).toMatchObject({ mode: 'fin', timeWait: 'here' })
  })
})

async function connectedUnder(mode: 'deliver' | 'reset') {
  const pair = await connected()
  setCloseMode(pair.client, mode)
  return { client: pair.client, peerClosed: pair.peerClosed, left: () => pair.left() }
}

describe('a server under a mode', () => {
  it('serves a stream that is no socket', async () => {
    const server = http.createServer((_request, response) => response.end('answer'))
    setCloseMode(server, 'deliver')
    const [ours, theirs] = duplexPair()
    server.emit('connection', theirs)
    ours.resume()
    ours.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
    await once(ours, 'end')
  })

  it('arms its new listening socket after close() and listen()', async () => {
    const server = net.createServer()
    setCloseMode(server, 'deliver')
    await listening(server)
    server.close()
    await once(server, 'close')
    await listening(server)
    expect(getOption(server, 'TCP_LINGER2')).toBe(-1)
  })

  it('does not take a socket for its own that another server accepted', async () => {
    const other = net.createServer((socket) => {
      server.emit('connection', socket)
    })
    const server = net.createServer((socket) => {
      socket.on('data', () => socket.destroy())
    })
    await listening(server)
    const tuning = tuneServer(server, { close: 'deliver' })
    const port = await listening(other)
    const client = net.connect(port, '127.0.0.1')
    closeLater(() => client.destroy())
    client.write('x')
    const accepted = once(server, 'connection')
    const [socket] = (await accepted) as [net.Socket]
    expect(getOption(socket, 'TCP_LINGER2')).not.toBe(-1)
    client.resume()
    await once(client, 'end')
    expect(tuning.counters().closes.deliver).toBe(1)
  })

  it("lets closeSocket() with 'fin' keep TIME_WAIT", async () => {
    const server = net.createServer()
    const port = await listening(server)
    setCloseMode(server, 'deliver')
    const client = net.connect(port, '127.0.0.1')
    closeLater(() => client.destroy())
    const [socket] = (await once(server, 'connection')) as [net.Socket]
    expect(getOption(socket, 'TCP_LINGER2')).toBe(-1)
    const closing = closeSocket(socket, 'fin')
    client.resume()
    expect(await closing).toMatchObject({ mode: 'fin', timeWait: 'here' })
  })

  it('delivers an answer to an upload that the program does not read, without the check too', async () => {
    const answer = Buffer.alloc(200_000, '.')
    const server = http.createServer((_request, response) => {
      response.writeHead(413, { connection: 'close' }).end(answer)
    })
    const port = await listening(server)
    setCloseMode(server, { mode: 'deliver', requireTimestamps: false })
    const client = net.connect(port, '127.0.0.1')
    closeLater(() => client.destroy())
    const upload = Buffer.alloc(500_000)
    client.write(`POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ${String(upload.length)}\r\n\r\n`)
    client.write(upload)
    let received = 0
    client.on('error', () => undefined)
    client.on('data', (chunk: Buffer) => (received += chunk.length))
    await once(client, 'end')
    expect(received).toBeGreaterThan(answer.length)
  })
})

describe('deliver on TLS', () => {
  it('lets close_notify wait for room in the send queue', async () => {
    // Some of these fill the queue with their last byte.
    for (let bytes = 20_000; bytes < 60_000; bytes += 1_000) {
      const { client, peer, peerClosed, received } = await connected('tls')
      setOption(client, 'SO_SNDBUF', 4_608)
      peer.pause()
      client.write(Buffer.alloc(bytes))
      const closing = closeSocket(client, 'deliver')
      peer.resume()
      expect(await closing).toMatchObject({ mode: 'deliver', discardedBytes: 0 })
      await peerClosed
      expect(received).toEqual({ bytes, ended: true, error: undefined })
    }
  })

  it('ends by a FIN when session tickets come together with the acknowledgement', async () => {
    for (let connection = 0; connection < 100; connection++) {
      const { client, peerClosed, received } = await connected('tls')
      await closeSocket(client, { mode: 'deliver', closeNotify: false })
      await peerClosed
      expect(received).toEqual({ bytes: 0, ended: true, error: undefined })
    }
  })
})

describe('deliver of a TLS 1.3 client', () => {
  it.each([true, false])(
    'loses nothing to what the server sends late, with close_notify or without (%s)',
    async (closeNotify) => {
      const { client, peer, peerClosed, received } = await connected('tls')
      // Reading this told an earlier version that session tickets had come too.
      peer.write('welcome')
      await once(client, 'data')
      // Some of it is not acknowledged while the peer does not read.
      setOption(client, 'SO_SNDBUF', LARGE_BUFFER)
      setOption(peer, 'SO_RCVBUF', SMALL_BUFFER)
      peer.pause()
      // No more: the small window lets it out in pieces, by the kernel's timers.
      const bytes = 60_000
      client.write(Buffer.alloc(bytes))
      const closing = closeSocket(client, { mode: 'deliver', closeNotify })
      await until(
        'the kernel has it all',
        () => client.writableLength,
        (left) => left === 0,
      )
      expect(queueSizes(client).unacknowledged).toBeGreaterThan(0)
      peer.write('late')
      setOption(peer, 'SO_RCVBUF', LARGE_BUFFER)
      peer.resume()
      expect(await closing).toMatchObject({ mode: 'deliver', discardedBytes: 0 })
      await peerClosed
      expect(received).toEqual({ bytes, ended: true, error: undefined })
    },
  )

  it.each([true, false])(
    'waits for session tickets that are late, with close_notify or without (%s)',
    async (closeNotify) => {
      const relay = new Relay()
      const { client, peer, peerClosed, received } = await connected('tls', {}, relay)
      peer.pause()
      client.write(Buffer.alloc(1_628))
      const closing = closeSocket(client, { mode: 'deliver', closeNotify })
      await once(client, 'close')
      relay.release()
      const { unreadBytes, ...report } = await closing
      expect(report).toMatchObject({ mode: 'deliver', discardedBytes: 0, timeWait: 'avoided' })
      expect(unreadBytes).toBeGreaterThan(0)
      peer.resume()
      await peerClosed
      expect(received).toEqual({ bytes: 1_628, ended: true, error: undefined })
      expect(relay.errors).toEqual([])
    },
  )

  it('does not wait for ever for a server that sends no session tickets', async () => {
    // One that keeps them for ever is the same.
    const { client, peerClosed, received } = await connected('tls', {}, new Relay())
    client.write('data')
    expect(await closeSocket(client, { mode: 'deliver', closeNotify: false })).toMatchObject({
      mode: 'deliver',
      discardedBytes: 0,
      unreadBytes: 0,
      timeWait: 'avoided',
    })
    await peerClosed
    expect(received).toEqual({ bytes: 4, ended: true, error: undefined })
  })

  it('gives up waiting for a peer that acknowledges nothing when the deadline has passed', async () => {
    const { client, peer } = await connected('tls')
    setOption(client, 'SO_SNDBUF', LARGE_BUFFER)
    setOption(peer, 'SO_RCVBUF', SMALL_BUFFER)
    peer.pause()
    client.write(Buffer.alloc(LARGE_BUFFER))
    setCloseMode(client, { mode: 'deliver', deadlineMs: 100 })
    await until(
      'the kernel has it all',
      () => client.writableLength,
      (left) => left === 0,
    )
    client.destroySoon()
    expect(client.destroyed).toBe(false)
    await once(client, 'close')
    expect(client.errored).toBeNull()
  })
})

describe('closeSocket settles', () => {
  it("when setCloseMode('fin') comes in between", async () => {
    const { client, peer } = await connected()
    peer.pause()
    client.write(Buffer.alloc(LARGE))
    const closing = closeSocket(client, 'deliver')
    setCloseMode(client, 'fin')
    peer.resume()
    expect(await closing).toMatchObject({ mode: 'deliver', discardedBytes: 0 })
  })

  it.each(['fin', 'lingering', 'deliver'] as const)(
    'when resetAndDestroy() comes in between in mode %s, and the RST goes out',
    async (mode) => {
      const pair = await connected()
      pair.peer.pause()
      pair.client.write(Buffer.alloc(64 * 2 ** 20))
      const closing = closeSocket(pair.client, mode)
      pair.client.resetAndDestroy()
      const report = await closing
      expect(report).toMatchObject({ requested: mode, mode: 'reset' })
      expect(report.discardedBytes).toBeGreaterThan(0)
      expect(await pair.left()).toBeUndefined()
    },
  )

  it('on a socket that never was connected', async () => {
    const report = await closeSocket(new net.Socket(), { mode: 'deliver', deadlineMs: 2 ** 31 - 1 })
    expect(report.fallback).toMatchObject({ code: 'not-connected' })
  })

  it('again after the socket was connected again', async () => {
    const server = net.createServer((peer) => peer.on('error', () => undefined).resume())
    const port = await listening(server)
    const socket = net.connect(port, '127.0.0.1')
    for (const mode of ['deliver', 'fin', 'reset'] as const) {
      await once(socket, 'connect')
      expect(await closeSocket(socket, mode)).toMatchObject({ requested: mode, mode })
      socket.connect(port, '127.0.0.1')
    }
    await once(socket, 'connect')
    socket.end()
    await once(socket, 'close')
  })

  it('by a reset also when a lingering close reads on already', async () => {
    const { client } = await connected('tcp', { allowHalfOpen: true })
    const lingering = closeSocket(client, { mode: 'lingering', idleMs: 2 ** 31 - 1 })
    await once(client, 'close')
    const report = await closeSocket(client, 'reset')
    expect(report).toMatchObject({ requested: 'lingering', mode: 'reset', timeWait: 'avoided' })
    expect(await lingering).toBe(report)
  })
})

describe('destroySoon() under deliver', () => {
  it('leaves end() as it is for the next connection of the socket', async () => {
    const ends: string[] = []
    const server = net.createServer((peer) => {
      peer.resume()
      peer.on('end', () => ends.push('end'))
    })
    const port = await listening(server)
    const socket = net.connect(port, '127.0.0.1')
    await once(socket, 'connect')
    setCloseMode(socket, 'deliver')
    socket.destroySoon()
    await once(socket, 'close')
    socket.connect(port, '127.0.0.1')
    await once(socket, 'connect')
    socket.end('x')
    await until(
      'both connections have ended',
      () => ends.length,
      (count) => count === 2,
    )
  })

  it('waits for a socket that is connecting', async () => {
    const server = net.createServer((peer) => peer.resume())
    const port = await listening(server)
    const accepted = once(server, 'connection')
    const socket = net.connect(port, '127.0.0.1')
    setCloseMode(socket, 'deliver')
    socket.destroySoon()
    await once(socket, 'connect')
    await accepted
    await once(socket, 'close')
  })
})

describe('closeSocket refuses or says', () => {
  it('the socket of an HTTP/2 session', async () => {
    const server = http2.createServer()
    const port = await listening(server)
    const session = http2.connect(`http://127.0.0.1:${String(port)}`)
    closeLater(() => {
      session.destroy()
    })
    await once(session, 'connect')
    await expect(closeSocket(session.socket, 'deliver')).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_TYPE',
    })
    expect(session.destroyed).toBe(false)
  })

  it.each(['deliver', 'reset'] as const)('%s of a unix-domain socket is fin', async (mode) => {
    let received = 0
    const server = net.createServer((peer) =>
      peer.on('data', (chunk) => (received += chunk.length)),
    )
    const path = join(tmpdir(), `socket-tuner-${String(process.pid)}-${mode}.sock`)
    await listening(server, path)
    const socket = net.connect(path)
    await once(socket, 'connect')
    socket.write(Buffer.alloc(50_000))
    const report = await closeSocket(socket, mode)
    expect(report).toMatchObject({ requested: mode, mode: 'fin', timeWait: 'avoided' })
    expect(report.fallback).toMatchObject({ code: 'not-tcp' })
    await until(
      'all is there',
      () => received,
      (bytes) => bytes === 50_000,
    )
  })

  it('how much of the stream was not read', async () => {
    const { client, peer } = await connected()
    client.pause()
    client.once('readable', () => undefined)
    peer.write(Buffer.alloc(10_000))
    await until(
      'the stream has it',
      () => client.readableLength,
      (bytes) => bytes === 10_000,
    )
    client.removeAllListeners('readable')
    expect(await closeSocket(client, 'deliver')).toMatchObject({ unreadBytes: 10_000 })
  })
})
