/** Contract tests: the assumptions of lib/node/handle.ts about Node's handles, on this release of Node. */
import { once } from 'node:events'
import * as http2 from 'node:http2'
import * as net from 'node:net'
import * as tls from 'node:tls'
import { native } from '../../lib/kernel/binding'
import {
  carrierOf,
  handleOf,
  hasGivenSocket,
  transportFd,
  transportHandleOf,
} from '../../lib/node/handle'
import { duplexPair } from '../close/streams'
import { makeCertificate } from '../helpers/certificate'
import { until } from '../helpers/until'
import {
  closeLater,
  connectedPair,
  destroyLater,
  handOver,
  listen,
  listeningSocket,
  loopback,
} from '../sockets'

const certificate = makeCertificate()
const trusting = { ca: certificate.cert, servername: 'localhost' }

interface RawHandle {
  readonly fd?: unknown
  readonly bytesRead?: unknown
  readonly bytesWritten?: unknown
  readonly writeQueueSize?: unknown
  readonly _parent?: unknown
  readonly _parentWrap?: unknown
}

function rawHandleOf(target: object): RawHandle | null | undefined {
  return (target as { _handle?: RawHandle | null })._handle
}

/** Makes a TLS connection on loopback: its two sockets, and the two below the client. */
async function secured(
  carrier?: (port: number) => net.Socket | Promise<net.Socket>,
): Promise<{ client: tls.TLSSocket; accepted: tls.TLSSocket; below: net.Socket | undefined }> {
  const server = tls.createServer(certificate, destroyLater)
  const port = await listen(server)
  const below = await carrier?.(port)
  const to = below === undefined ? { host: loopback[4], port } : { socket: below }
  const client = tls.connect({ ...trusting, ...to })
  destroyLater(client)
  const [[accepted]] = (await Promise.all([
    once(server, 'secureConnection'),
    once(client, 'secureConnect'),
  ])) as unknown as [[tls.TLSSocket]]
  return { client, accepted, below }
}

describe('net.Socket#_handle', () => {
  it('is null before connect() and after destroy()', async () => {
    const socket = new net.Socket()
    expect(rawHandleOf(socket)).toBeNull()
    expect(handleOf(socket)).toBeUndefined()
    const { client } = await connectedPair()
    expect(rawHandleOf(client)).toEqual(expect.any(Object))
    expect(handleOf(client)).toBe(rawHandleOf(client))
    client.destroy()
    expect(rawHandleOf(client)).toBeNull()
    expect([handleOf(client), transportHandleOf(client)]).toEqual([undefined, undefined])
    expect(transportFd(client)).toBe(-1)
  })

  it('has an fd of -1 in the tick of connect(), and its descriptor in the next tick', async () => {
    const port = await listen(net.createServer(destroyLater))
    const socket = net.connect(port, loopback[4])
    destroyLater(socket)
    expect(rawHandleOf(socket)?.fd).toBe(-1)
    await new Promise<void>((resolve) => {
      process.nextTick(resolve)
    })
    expect(rawHandleOf(socket)?.fd).toBeGreaterThan(2)
    expect(transportFd(socket)).toBe(rawHandleOf(socket)?.fd)
  })

  it('counts the bytes of the descriptor in bytesRead and bytesWritten', async () => {
    const { client, accepted } = await connectedPair()
    expect(rawHandleOf(client)).toMatchObject({ bytesRead: 0, bytesWritten: 0 })
    client.write('four')
    accepted.resume()
    await once(accepted, 'data')
    expect(rawHandleOf(client)).toMatchObject({ bytesRead: 0, bytesWritten: 4 })
    expect(rawHandleOf(accepted)).toMatchObject({ bytesRead: 4, bytesWritten: 0 })
  })

  it('counts the bytes that the kernel has not accepted in writeQueueSize', async () => {
    const { client } = await connectedPair()
    expect(rawHandleOf(client)?.writeQueueSize).toBe(0)
    const size = 64 * 2 ** 20
    client.write(Buffer.alloc(size))
    const queued = await until(
      'the kernel is full',
      () => rawHandleOf(client)?.writeQueueSize as number,
      (bytes) => bytes > 0 && bytes < size,
    )
    expect(handleOf(client)?.writeQueueSize).toBe(queued)
  })
})

describe('net.Server#_handle', () => {
  it('has the descriptor while the server listens, and is null before and afterwards', async () => {
    const server = net.createServer()
    expect(handleOf(server)).toBeUndefined()
    const port = await listen(server)
    expect(rawHandleOf(server)?.fd).toEqual(expect.any(Number))
    expect(native.localPort(handleOf(server)?.fd ?? -1)).toBe(port)
    server.close()
    expect(rawHandleOf(server)).toBeNull()
  })
})

describe('TLSSocket#_handle', () => {
  it('has the TCP handle in _parent, and no _parentWrap if tls.connect() made the connection', async () => {
    const { client } = await secured()
    const { _parent, _parentWrap, fd } = rawHandleOf(client) ?? {}
    expect(_parentWrap ?? null).toBeNull()
    expect(transportHandleOf(client)).toBe(_parent)
    expect(transportFd(client)).toBe(fd)
    expect(carrierOf(client)).toBe(client)
  })

  it('has the socket below it in _parentWrap', async () => {
    const { client, below } = await secured((port) => net.connect(port, loopback[4]))
    const { _parent, _parentWrap } = rawHandleOf(client) ?? {}
    expect(_parentWrap).toBe(below)
    expect(_parent).toBe(rawHandleOf(below ?? {}))
    expect(carrierOf(client)).toBe(below)
  })

  it('has the accepted socket in _parentWrap on a server', async () => {
    const { accepted } = await secured()
    const carrier = carrierOf(accepted)
    expect(carrier).not.toBe(accepted)
    expect(carrier).toBeInstanceOf(net.Socket)
    expect(rawHandleOf(accepted)?._parent).toBe(handleOf(carrier))
  })

  it('leads to the TCP handle through the other TLS handle, for TLS in TLS', async () => {
    const { client, below } = await secured(async (port) => {
      const relay = tls.createServer(certificate, (outer) => {
        const inner = net.connect(port, loopback[4])
        destroyLater(inner)
        destroyLater(outer)
        outer.pipe(inner).pipe(outer)
      })
      return tls.connect({ host: loopback[4], port: await listen(relay), ...trusting })
    })
    const outer = below as tls.TLSSocket
    expect(carrierOf(client)).toBe(outer)
    expect(transportHandleOf(client)).toBe(transportHandleOf(outer))
    expect(transportFd(client)).toBe(handleOf(outer)?.fd)
  })

  it('has no descriptor over a stream; _parentWrap is a net.Socket around the stream', () => {
    const [stream] = duplexPair()
    const socket = tls.connect({ socket: stream, ...trusting })
    destroyLater(socket)
    expect(rawHandleOf(socket)?._parentWrap).toBeInstanceOf(net.Socket)
    expect(transportFd(socket)).toBe(-1)
  })
})

describe('Http2Session#socket', () => {
  it('exposes _handle.fd', async () => {
    const server = http2.createServer()
    const port = await listen(server)
    const session = http2.connect(`http://${loopback[4]}:${String(port)}`)
    closeLater(() => {
      session.destroy()
    })
    await once(session, 'connect')
    expect(rawHandleOf(session.socket)?.fd).toBeGreaterThan(2)
  })
})

describe('net.Server#_connectionKey', () => {
  it('contains no address if the server listens on a given socket', async () => {
    const server = net.createServer()
    await listen(server)
    const wildcard = net.createServer()
    closeLater(() => wildcard.close())
    await once(wildcard.listen(0), 'listening')
    expect([hasGivenSocket(server), hasGivenSocket(wildcard)]).toEqual([false, false])
    const given = net.createServer()
    closeLater(() => given.close())
    await once(given.listen({ fd: handOver(listeningSocket()) }), 'listening')
    expect(hasGivenSocket(given)).toBe(true)
  })
})
