/** Regression tests for closes, by cause. */
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
/** A size for SO_SNDBUF and SO_RCVBUF that every system allows, whatever its sysctls are. */
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

describe('a close with the error of another stream', () => {
  it('keeps its mode in a pipeline whose source was reset', async () => {
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

  it('reports which side has TIME_WAIT', async () => {
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

describe('a server with a close mode', () => {
  it('serves a stream that is not a socket', async () => {
    const server = http.createServer((_request, response) => response.end('answer'))
    setCloseMode(server, 'deliver')
    const [ours, theirs] = duplexPair()
    server.emit('connection', theirs)
    ours.resume()
    ours.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
    await once(ours, 'end')
  })

  it('applies the mode to the new listening socket after close() and listen()', async () => {
    const server = net.createServer()
    setCloseMode(server, 'deliver')
    await listening(server)
    server.close()
    await once(server, 'close')
    await listening(server)
    expect(getOption(server, 'TCP_LINGER2')).toBe(-1)
  })

  it('does not apply the mode to a socket that another server accepted', async () => {
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

  it("leaves TIME_WAIT if closeSocket() is called with 'fin'", async () => {
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

  it('delivers an answer to an upload that the program does not read, even with requireTimestamps: false', async () => {
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

describe('close mode deliver over TLS', () => {
  it('delays close_notify until the send queue has room', async () => {
    // Some of these sizes fill the queue exactly.
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

  it('ends with a FIN if session tickets arrive together with the acknowledgement', async () => {
    for (let connection = 0; connection < 100; connection++) {
      const { client, peerClosed, received } = await connected('tls')
      await closeSocket(client, { mode: 'deliver', closeNotify: false })
      await peerClosed
      expect(received).toEqual({ bytes: 0, ended: true, error: undefined })
    }
  })
})

describe('close mode deliver of a TLS 1.3 client', () => {
  it.each([true, false])(
    'loses nothing if the server sends data late, with or without close_notify (%s)',
    async (closeNotify) => {
      const { client, peer, peerClosed, received } = await connected('tls')
      // An earlier version concluded from this data that session tickets had arrived too.
      peer.write('welcome')
      await once(client, 'data')
      // Some of the data is not acknowledged while the peer does not read.
      setOption(client, 'SO_SNDBUF', LARGE_BUFFER)
      setOption(peer, 'SO_RCVBUF', SMALL_BUFFER)
      peer.pause()
      // Not more, because the small window makes the kernel send it in pieces, driven by timers.
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
    'waits for late session tickets, with or without close_notify (%s)',
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

  it('does not wait forever for a server that sends no session tickets', async () => {
    // The relay holds the tickets back for ever.
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

  it('stops waiting at the deadline for a peer that acknowledges nothing', async () => {
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

describe('closeSocket()', () => {
  it("settles if setCloseMode('fin') is called in between", async () => {
    const { client, peer } = await connected()
    peer.pause()
    client.write(Buffer.alloc(LARGE))
    const closing = closeSocket(client, 'deliver')
    setCloseMode(client, 'fin')
    peer.resume()
    expect(await closing).toMatchObject({ mode: 'deliver', discardedBytes: 0 })
  })

  it.each(['fin', 'lingering', 'deliver'] as const)(
    'settles in mode %s if resetAndDestroy() is called in between, and a RST is sent',
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

  it('settles for a socket that was never connected', async () => {
    const report = await closeSocket(new net.Socket(), { mode: 'deliver', deadlineMs: 2 ** 31 - 1 })
    expect(report.fallback).toMatchObject({ code: 'not-connected' })
  })

  it('settles again after the socket was reconnected', async () => {
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

  it('settles with a reset even while a lingering close reads', async () => {
    const { client } = await connected('tcp', { allowHalfOpen: true })
    const lingering = closeSocket(client, { mode: 'lingering', idleMs: 2 ** 31 - 1 })
    await once(client, 'close')
    const report = await closeSocket(client, 'reset')
    expect(report).toMatchObject({ requested: 'lingering', mode: 'reset', timeWait: 'avoided' })
    expect(await lingering).toBe(report)
  })
})

describe('destroySoon() in close mode deliver', () => {
  it('does not change end() for the next connection of the socket', async () => {
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

  it('waits for the connection of a connecting socket', async () => {
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

describe('closeSocket() of an unusual socket', () => {
  it('refuses the socket of an HTTP/2 session', async () => {
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

  it.each(['deliver', 'reset'] as const)(
    'falls back from %s to fin for a unix-domain socket',
    async (mode) => {
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
    },
  )

  it('reports how many bytes of the stream remained unread', async () => {
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
