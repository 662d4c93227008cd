/** Contract tests: the assumptions of lib/node/tls.ts about Node's TLS sockets, on this release of Node. */
import { once } from 'node:events'
import * as net from 'node:net'
import * as tls from 'node:tls'
import { promisify } from 'node:util'
import { duplexPair } from '../close/streams'
import {
  cipherOf,
  hasSentFinished,
  hasSsl,
  hasTicket,
  holdsCleartext,
  isTls,
  isTlsClient,
  tlsVersionOf,
  watchHandshake,
} from '../../lib/node/tls'
import { makeCertificate } from '../helpers/certificate'
import { until } from '../helpers/until'
import { destroyLater, listen } from '../sockets'

const certificate = makeCertificate()
const trusting = { ca: certificate.cert, servername: 'localhost' }
const versions = ['TLSv1.2', 'TLSv1.3'] as const
const immediate = promisify(setImmediate)

interface Handle {
  readonly fd: number
  readonly getProtocol: unknown
  readonly getTLSTicket: unknown
  readonly destroySSL: () => void
}

function handleOf(socket: tls.TLSSocket): Handle {
  return (socket as unknown as { _handle: Handle })._handle
}

async function serve(options: tls.TlsOptions = {}): Promise<{ port: number; server: tls.Server }> {
  const server = tls.createServer({ ...certificate, ...options }, destroyLater)
  server.on('tlsClientError', () => undefined)
  return { port: await listen(server), server }
}

function connect(options: tls.ConnectionOptions): tls.TLSSocket {
  const socket = tls.connect({ host: '127.0.0.1', ...trusting, ...options })
  destroyLater(socket)
  return socket
}

describe("a TLS socket of Node's", () => {
  it.each(versions)(
    'reports its version as soon as the handshake is complete (%s)',
    async (version) => {
      const { port, server } = await serve({ maxVersion: version })
      const accepted = once(server, 'secureConnection') as Promise<[tls.TLSSocket]>
      const socket = connect({ port })
      expect(isTls(socket)).toBe(true)
      expect(isTlsClient(socket)).toBe(true)
      expect(hasSsl(socket)).toBe(true)
      expect(tlsVersionOf(socket)).toBeUndefined()
      await once(socket, 'secureConnect')
      expect(tlsVersionOf(socket)).toBe(version)
      const [peer] = await accepted
      expect(isTls(peer)).toBe(true)
      expect(isTlsClient(peer)).toBe(false)
      expect(tlsVersionOf(peer)).toBe(version)
    },
  )

  it("has _secureEstablished, false until 'secure', and _tlsOptions.isServer on both sides", async () => {
    interface Parts {
      readonly encrypted: unknown
      readonly _secureEstablished: unknown
      readonly _tlsOptions: { readonly isServer: unknown }
    }
    const partsOf = (socket: tls.TLSSocket): Parts => socket as unknown as Parts
    const { port, server } = await serve()
    const accepted = once(server, 'secureConnection') as Promise<[tls.TLSSocket]>
    const socket = connect({ port })
    const parts = partsOf(socket)
    const states = [parts._secureEstablished]
    socket.prependListener('secure', () => states.push(parts._secureEstablished))
    await once(socket, 'secureConnect')
    expect(states).toEqual([false, true])
    expect([parts.encrypted, parts._tlsOptions.isServer]).toEqual([true, false])
    const peer = partsOf((await accepted)[0])
    expect([peer.encrypted, peer._secureEstablished, peer._tlsOptions.isServer]).toEqual([
      true,
      true,
      true,
    ])
  })

  it('is distinguished from a plain socket', () => {
    const socket = new net.Socket()
    expect(isTls(socket)).toBe(false)
    expect(isTlsClient(socket)).toBe(false)
    expect(hasSsl(socket)).toBe(false)
    expect(tlsVersionOf(socket)).toBeUndefined()
  })

  it('has a session ticket after the server has sent one', async () => {
    const { port } = await serve()
    const socket = connect({ port })
    await once(socket, 'secureConnect')
    expect(hasTicket(socket)).toBe(false)
    socket.on('session', () => undefined)
    await until('a ticket', () => hasTicket(socket), Boolean)
  })

  it('has methods on its handle that report its version, its cipher and its session ticket', async () => {
    const { port } = await serve()
    const socket = connect({ port })
    expect(cipherOf(socket)).toBe('')
    await once(socket, 'secureConnect')
    const { getProtocol, getTLSTicket } = handleOf(socket)
    expect([typeof getProtocol, typeof getTLSTicket]).toEqual(['function', 'function'])
    expect(cipherOf(socket)).toBe(socket.getCipher().name)
  })

  it('has a handle whose fd is an errno after its SSL object is freed', async () => {
    const { port } = await serve()
    const socket = connect({ port })
    await once(socket, 'secureConnect')
    await immediate()
    expect(handleOf(socket).fd).toBeGreaterThan(2)
    handleOf(socket).destroySSL()
    expect(handleOf(socket).fd).toBeLessThan(-1)
    expect(hasSsl(socket)).toBe(false)
    expect(tlsVersionOf(socket)).toBeUndefined()
    expect(cipherOf(socket)).toBe('')
    expect(hasTicket(socket)).toBe(false)
  })

  it('has a handle whose fd is -1 over a stream, until its SSL object is freed', () => {
    const [stream] = duplexPair()
    const socket = tls.connect({ socket: stream, ...trusting })
    destroyLater(socket)
    expect(handleOf(socket).fd).toBe(-1)
    expect(hasSsl(socket)).toBe(true)
    handleOf(socket).destroySSL()
    expect(hasSsl(socket)).toBe(false)
  })

  it('sends the end of the TLS 1.3 handshake after the listeners were called', async () => {
    const { port } = await serve()
    const socket = connect({ port })
    watchHandshake(socket)
    watchHandshake(socket)
    expect(socket.listenerCount('secure')).toBe(2)
    expect(hasSentFinished(socket)).toBe(false)
    const inListener = new Promise<boolean>((resolve) => {
      socket.once('secureConnect', () => {
        resolve(hasSentFinished(socket))
      })
    })
    expect(await inListener).toBe(false)
    await immediate()
    expect(hasSentFinished(socket)).toBe(true)
  })

  it('is assumed to have sent the end of a handshake that was not watched', async () => {
    const { port } = await serve()
    const socket = connect({ port })
    await once(socket, 'secureConnect')
    watchHandshake(socket)
    expect(hasSentFinished(socket)).toBe(true)
  })

  it('never sends the end of the handshake after its certificate is refused', async () => {
    const { port } = await serve()
    const socket = connect({ port, servername: 'other.test' })
    watchHandshake(socket)
    let sent: boolean | undefined
    const ended = new Promise((resolve) => socket.once('close', resolve))
    jest.spyOn(socket, 'destroy').mockImplementationOnce((error) => {
      sent = hasSentFinished(socket)
      return socket.destroy(error)
    })
    await ended
    expect(sent).toBe(false)
  })
})

describe('a TLS socket that is written to before the end of its handshake', () => {
  it.each(versions)(
    'counts the bytes as written, and holds them until the end of the handshake, with %s',
    async (maxVersion) => {
      const { port } = await serve({ maxVersion })
      const socket = connect({ port })
      watchHandshake(socket)
      socket.write('request')
      await once(socket, 'connect')
      const counted = (socket as unknown as { _handle: { bytesWritten: number } })._handle
      expect([counted.bytesWritten, holdsCleartext(socket)]).toEqual([7, true])
      const inListener = new Promise<unknown[]>((resolve) => {
        socket.once('secureConnect', () => {
          resolve([holdsCleartext(socket), socket.writableLength])
        })
      })
      expect(await inListener).toEqual([true, 7])
      await immediate()
      expect(holdsCleartext(socket)).toBe(false)
    },
  )

  it('holds nothing after it is connected again without TLS', async () => {
    const { port } = await serve()
    const socket = connect({ port })
    await once(socket, 'connect')
    await once(socket.destroy(), 'close')
    socket.connect(port, '127.0.0.1')
    await once(socket, 'connect')
    expect(holdsCleartext(socket)).toBe(false)
  })
})
