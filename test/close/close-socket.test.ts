import { once } from 'node:events'
import * as net from 'node:net'
import { closeSocket, configure, getOption, queueSizes, type CloseModeName } from '../../lib'
import { closeLater } from '../sockets'
import { until } from '../helpers/until'
import { connected, type Transport } from './pair'
import { nextWarning } from './warning'

const modes: readonly CloseModeName[] = ['fin', 'deliver', 'lingering', 'reset']
const transports: readonly Transport[] = ['tcp', 'tls']
const LARGE = 3_000_000
const TLS_RECORD = 16_384

async function answered(transport: Transport) {
  const pair = await connected(transport)
  pair.client.write('request')
  await until(
    'the request is there',
    () => pair.received.bytes,
    (bytes) => bytes === 7,
  )
  pair.peer.write('answer')
  await once(pair.client, 'data')
  return pair
}

describe.each(transports)('closeSocket over %s', (transport) => {
  it.each(modes)(
    'reports no loss in mode %s after an answer, and the peer sees the end of the stream',
    async (mode) => {
      const pair = await answered(transport)
      const report = await closeSocket(pair.client, mode)
      await pair.peerClosed
      expect(report).toMatchObject({ requested: mode, mode, discardedBytes: 0 })
      expect(report.fallback).toBeUndefined()
      expect(pair.client.destroyed).toBe(true)
      if (mode !== 'reset') expect(pair.received).toMatchObject({ ended: true, error: undefined })
    },
  )

  it.each([
    ['fin', 'here', 'TIME_WAIT'],
    ['deliver', 'avoided', undefined],
    ['reset', 'avoided', undefined],
  ] as const)(
    'reports in mode %s that TIME_WAIT is %s, and the kernel agrees',
    async (mode, timeWait, left) => {
      const pair = await answered(transport)
      const report = await closeSocket(pair.client, mode)
      await pair.peerClosed
      expect(report.timeWait).toBe(timeWait)
      expect(await pair.left()).toBe(left)
    },
  )

  it.each(['fin', 'deliver', 'lingering'] as const)(
    'delivers all bytes in mode %s to a reader that starts late',
    async (mode) => {
      const pair = await connected(transport)
      pair.peer.pause()
      pair.client.write(Buffer.alloc(LARGE))
      const closing = closeSocket(pair.client, mode)
      pair.peer.resume()
      expect(await closing).toMatchObject({ mode, discardedBytes: 0 })
      await pair.peerClosed
      expect(pair.received).toEqual({ bytes: LARGE, ended: true, error: undefined })
    },
  )

  it.each(['fin', 'deliver', 'lingering'] as const)(
    'delivers all bytes in mode %s after end()',
    async (mode) => {
      const pair = await connected(transport)
      pair.peer.pause()
      pair.client.end(Buffer.alloc(LARGE))
      const closing = closeSocket(pair.client, mode)
      pair.peer.resume()
      const report = await closing
      expect(report.discardedBytes).toBe(0)
      // The FIN of end() has been sent, and the peer's FIN may arrive before the close: see close-orders in the lab.
      const isTooLate = mode === 'deliver' && report.timeWait === 'here'
      expect(report).toMatchObject(
        isTooLate ? { mode: 'fin', fallback: { code: 'ended' } } : { mode },
      )
      await pair.peerClosed
      expect(pair.received).toEqual({ bytes: LARGE, ended: true, error: undefined })
    },
  )

  it('sends a RST in mode reset even after end(), and counts the discarded bytes', async () => {
    const pair = await connected(transport)
    pair.peer.pause()
    pair.client.end(Buffer.alloc(LARGE))
    const report = await closeSocket(pair.client, 'reset')
    expect(report.mode).toBe('reset')
    expect(report.discardedBytes).toBeGreaterThan(0)
    pair.peer.resume()
    await pair.peerClosed
    expect(pair.received.bytes).toBeLessThan(LARGE)
    const lost = LARGE - pair.received.bytes
    if (transport === 'tcp') expect(report.discardedBytes).toBe(lost)
    // A partial TLS record is lost as a whole.
    const partial = transport === 'tls' ? TLS_RECORD : 0
    const told = report.discardedBytes + report.inFlightBytes
    expect(told + partial).toBeGreaterThanOrEqual(lost)
    expect(await pair.left()).toBeUndefined()
  })

  it.each(modes)(
    'leaves TIME_WAIT to the peer in mode %s if the peer ended first',
    async (mode) => {
      const pair = await connected(transport, { allowHalfOpen: true })
      const { client, peer } = pair
      client.pause()
      client.allowHalfOpen = true
      peer.end()
      await until(
        'the FIN is there',
        () => pair.state(),
        (state) => state === 'CLOSE_WAIT',
      )
      const report = await closeSocket(client, mode)
      expect(report.timeWait).toBe(mode === 'reset' ? 'avoided' : 'peer')
    },
  )
})

describe('closeSocket in mode deliver', () => {
  it('reads and discards received data, which would otherwise turn its FIN into a RST', async () => {
    const { client, peer, received, peerClosed } = await connected()
    client.pause()
    peer.write(Buffer.alloc(50_000))
    await until(
      'input waits',
      () => queueSizes(client).unread,
      (bytes) => bytes === 50_000,
    )
    client.write(Buffer.alloc(LARGE))
    const report = await closeSocket(client, 'deliver')
    await peerClosed
    expect(report).toMatchObject({ mode: 'deliver', unreadBytes: 50_000, discardedBytes: 0 })
    expect(received).toEqual({ bytes: LARGE, ended: true, error: undefined })
  })

  it('sends close_notify over TLS unless closeNotify is false', async () => {
    for (const closeNotify of [true, false]) {
      const pair = await connected('tls')
      pair.client.write('request')
      await until(
        'the request is there',
        () => pair.received.bytes,
        (bytes) => bytes === 7,
      )
      const before = pair.carrier.bytesRead
      await closeSocket(pair.client, { mode: 'deliver', closeNotify })
      await pair.peerClosed
      // A TLS 1.3 alert record has 5 bytes of header, 2 of alert, 1 of type, and a tag of 16.
      expect(pair.carrier.bytesRead - before).toBe(closeNotify ? 24 : 0)
    }
  })
})

describe('closeSocket of an unconnected socket', () => {
  it.each(modes)('destroys a connecting socket in mode %s', async (mode) => {
    const server = net.createServer().listen(0, '127.0.0.1')
    closeLater(() => server.close())
    await once(server, 'listening')
    const socket = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1')
    const report = await closeSocket(socket, mode)
    expect(report).toMatchObject({ requested: mode, discardedBytes: 0 })
    expect(socket.destroyed).toBe(true)
  })

  it('sends the data written so far before it closes a connecting socket in mode deliver', async () => {
    const received: Buffer[] = []
    const server = net.createServer((peer) => peer.on('data', (chunk) => received.push(chunk)))
    closeLater(() => server.close())
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const socket = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1')
    socket.write('early words')
    const report = await closeSocket(socket, 'deliver')
    expect(report).toMatchObject({ mode: 'deliver', discardedBytes: 0, timeWait: 'avoided' })
    await until(
      'the words are there',
      () => Buffer.concat(received).toString(),
      (text) => text === 'early words',
    )
  })

  it.each(modes)('reports the error in mode %s if the socket fails to connect', async (mode) => {
    const server = net.createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as net.AddressInfo
    server.close()
    await once(server, 'close')
    const socket = net.connect(port, '127.0.0.1')
    socket.write('never sent')
    const report = await closeSocket(socket, mode)
    expect(report.requested).toBe(mode)
    if (mode !== 'reset') expect(report.error).toMatchObject({ code: 'ECONNREFUSED' })
    expect(report.discardedBytes).toBe('never sent'.length)
  })

  it.each(modes)(
    'returns a report in mode %s for a socket that is already destroyed',
    async (mode) => {
      const { client } = await connected()
      client.destroy()
      expect(await closeSocket(client, mode)).toMatchObject({
        requested: mode,
        fallback: { code: 'destroyed' },
        timeWait: 'unknown',
      })
    },
  )

  it('accepts a socket that was never connected', async () => {
    expect(await closeSocket(new net.Socket(), 'deliver')).toMatchObject({
      discardedBytes: 0,
    })
  })
})

describe('closeSocket called twice', () => {
  it('returns the same report to both calls', async () => {
    const { client, peer } = await connected()
    peer.pause()
    client.write(Buffer.alloc(LARGE))
    const first = closeSocket(client, 'deliver')
    const second = closeSocket(client, 'fin')
    peer.resume()
    expect(await second).toBe(await first)
  })

  it('turns a waiting close into a reset', async () => {
    const { client, peer } = await connected()
    peer.pause()
    // More than the buffers of both kernels hold, so that the close has to wait.
    client.write(Buffer.alloc(64 * 2 ** 20))
    const first = closeSocket(client, 'deliver')
    const second = await closeSocket(client, 'reset')
    expect(second).toMatchObject({ requested: 'deliver', mode: 'reset' })
    expect(second.fallback).toMatchObject({ code: 'reset-requested' })
    expect(second.discardedBytes).toBeGreaterThan(0)
    expect(await first).toBe(second)
  })
})

describe('closeSocket with a deadline', () => {
  it.each(['fin', 'deliver', 'lingering'] as const)(
    'stops waiting in mode %s for a peer that never reads, and counts the lost bytes',
    async (mode) => {
      const { client, peer, received, peerClosed } = await connected()
      peer.pause()
      const written = 64 * 2 ** 20
      client.write(Buffer.alloc(written))
      const warning = nextWarning('SOCKET_TUNER_CLOSE_DEADLINE')
      const report = await closeSocket(client, { mode, deadlineMs: 50, idleMs: 50 })
      expect(report.fallback).toMatchObject({ code: 'deadline' })
      expect(report.discardedBytes).toBeGreaterThan(0)
      expect(await warning).toContain(String(report.discardedBytes))
      peer.resume()
      await peerClosed
      expect(received.bytes + report.discardedBytes).toBe(written)
    },
  )

  it('ends a lingering close if the peer is silent and does not finish', async () => {
    const { client } = await connected('tcp', { allowHalfOpen: true })
    const report = await closeSocket(client, { mode: 'lingering', idleMs: 20 })
    expect(report).toMatchObject({ mode: 'lingering', discardedBytes: 0 })
    expect(report.fallback).toMatchObject({ code: 'idle' })
  })

  it('ends a lingering close if the peer keeps sending for too long', async () => {
    const { client, peer } = await connected('tcp', { allowHalfOpen: true })
    client.pause()
    // Single bytes, because a fast machine would otherwise send more than maxDiscardBytes.
    const send = (): void => {
      if (peer.writable) peer.write('x', () => setImmediate(send))
    }
    send()
    await until(
      'input waits',
      () => queueSizes(client).unread,
      (bytes) => bytes > 0,
    )
    const report = await closeSocket(client, { mode: 'lingering', deadlineMs: 500 })
    expect(report.fallback).toMatchObject({ code: 'deadline' })
    expect(report.unreadBytes).toBeGreaterThan(0)
  })
})

describe('closeSocket in mode lingering', () => {
  it('delivers an early answer to a peer that is still sending', async () => {
    const { client: server, peer: uploader } = await connected('tcp', { allowHalfOpen: true })
    let answer = ''
    uploader.on('data', (chunk: Buffer) => (answer += chunk.toString()))
    server.pause()
    server.write('413 too large')
    const report = closeSocket(server, 'lingering')
    uploader.end(Buffer.alloc(20 * 2 ** 20))
    expect(await report).toMatchObject({
      mode: 'lingering',
      discardedBytes: 0,
      unreadBytes: 20 * 2 ** 20,
    })
    await until(
      'the answer is there',
      () => answer,
      (text) => text === '413 too large',
    )
  })
})

describe('closeSocket and errors', () => {
  it('reports a reset by the peer, without an uncaught error', async () => {
    const { client, peer } = await connected()
    peer.pause()
    client.write(Buffer.alloc(64 * 2 ** 20))
    const closing = closeSocket(client, 'deliver')
    peer.resetAndDestroy()
    const report = await closing
    expect(['ECONNRESET', 'EPIPE']).toContain((report.error as NodeJS.ErrnoException).code)
    expect(report.timeWait).toBe('avoided')
  })

  it.each([
    [undefined, {}],
    [null, {}],
    [7, {}],
    [{}, {}],
    [new net.Socket(), 'gently'],
    [new net.Socket(), { mode: 'gently' }],
    [new net.Socket(), {}],
    [new net.Socket(), { mode: 'fin', deadlineMs: 0 }],
    [new net.Socket(), { mode: 'fin', deadlineMs: NaN }],
    [new net.Socket(), { mode: 'fin', deadlineMs: 2 ** 31 }],
    [new net.Socket(), { mode: 'fin', idleMs: '5' }],
    [new net.Socket(), { mode: 'fin', requireTimestamps: 1 }],
    [new net.Socket(), { mode: 'fin', closeNotify: null }],
    [new net.Socket(), null],
  ])('rejects invalid arguments with a coded error (%#)', async (socket, options) => {
    await expect(closeSocket(socket as net.Socket, options as never)).rejects.toMatchObject({
      code: expect.stringMatching(/^ERR_/) as string,
    })
  })

  it('refuses to discard bytes if hazards are errors, and does not change the socket', async () => {
    const { client, peer } = await connected()
    peer.pause()
    client.write(Buffer.alloc(LARGE))
    configure({ hazards: 'throw' })
    await expect(closeSocket(client, 'reset')).rejects.toMatchObject({
      code: 'ERR_SOCKET_TUNER_HAZARD',
      warning: 'SOCKET_TUNER_RESET_DISCARDS',
    })
    expect(client.destroyed).toBe(false)
    expect(getOption(client, 'SO_LINGER')).toEqual({ enabled: false, seconds: 0 })
  })
})
