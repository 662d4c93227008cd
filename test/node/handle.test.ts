/** Contract tests: what lib/node/handle.ts takes Node's handles to be, on the release that runs them. */
import { once } from 'node:events'
import * as http2 from 'node:http2'
import * as net from 'node:net'
import * as tls from 'node:tls'
import { native } from '../../lib/kernel/binding'
import { carrierOf, handleOf, transportFd, transportHandleOf } from '../../lib/node/handle'
import { duplexPair } from '../close/streams'
import { makeCertificate } from '../helpers/certificate'
import { until } from '../helpers/until'
import { closeLater, connectedPair, destroyLater, listen, loopback } from '../sockets'

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

/** `_handle` as Node has it. */
function rawHandleOf(target: object): RawHandle | null | undefined {
  return (target as { _handle?: RawHandle | null })._handle
}

/** A TLS connection to a server on loopback: its two sockets and the two below the client's. */
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

  it('has an fd of -1 in the tick of connect(), and its descriptor in the next', async () => {
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

  it('counts in bytesRead and bytesWritten what passed through the descriptor', async () => {
    const { client, accepted } = await connectedPair()
    expect(rawHandleOf(client)).toMatchObject({ bytesRead: 0, bytesWritten: 0 })
    client.write('four')
    accepted.resume()
    await once(accepted, 'data')
    expect(rawHandleOf(client)).toMatchObject({ bytesRead: 0, bytesWritten: 4 })
    expect(rawHandleOf(accepted)).toMatchObject({ bytesRead: 4, bytesWritten: 0 })
  })

  it('has in writeQueueSize what the kernel does not take', async () => {
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
  it('has the descriptor while the server listens, and is null before and after', async () => {
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
  it('has the TCP handle in _parent, and no _parentWrap where tls.connect() made it', async () => {
    const { client } = await secured()
    const { _parent, _parentWrap, fd } = rawHandleOf(client) ?? {}
    expect(_parentWrap ?? null).toBeNull()
    expect(transportHandleOf(client)).toBe(_parent)
    expect(transportFd(client)).toBe(fd)
    expect(carrierOf(client)).toBe(client)
  })

  it('has in _parentWrap the socket that it was laid over', async () => {
    const { client, below } = await secured((port) => net.connect(port, loopback[4]))
    const { _parent, _parentWrap } = rawHandleOf(client) ?? {}
    expect(_parentWrap).toBe(below)
    expect(_parent).toBe(rawHandleOf(below ?? {}))
    expect(carrierOf(client)).toBe(below)
  })

  it('has in _parentWrap, at a server, the socket that was accepted', async () => {
    const { accepted } = await secured()
    const carrier = carrierOf(accepted)
    expect(carrier).not.toBe(accepted)
    expect(carrier).toBeInstanceOf(net.Socket)
    expect(rawHandleOf(accepted)?._parent).toBe(handleOf(carrier))
  })

  it('comes to the TCP handle through the other one, for TLS in TLS', async () => {
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

  it('has no descriptor over a stream, and a net.Socket that wraps the stream in _parentWrap', () => {
    const [stream] = duplexPair()
    const socket = tls.connect({ socket: stream, ...trusting })
    destroyLater(socket)
    expect(rawHandleOf(socket)?._parentWrap).toBeInstanceOf(net.Socket)
    expect(transportFd(socket)).toBe(-1)
  })
})

describe('Http2Session#socket', () => {
  it('lets _handle.fd through', async () => {
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
