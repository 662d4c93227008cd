/** Contract tests: the assumptions of lib/node/closing.ts about a closing net.Socket, on this release of Node. */
import { once } from 'node:events'
import * as http from 'node:http'
import * as net from 'node:net'
import { Duplex } from 'node:stream'
import * as tls from 'node:tls'
import {
  closeWithoutReset,
  destroyAfterCarrier,
  followTlsFinals,
  pushEnd,
  isResetting,
  replaceDestroy,
  replaceDestroySoon,
  replaceFinal,
} from '../../lib/node/closing'
import { carrierOf, transportFd } from '../../lib/node/handle'
import { makeCertificate } from '../helpers/certificate'
import { closeLater, connectedPair, destroyLater, listen, loopback } from '../sockets'

const certificate = makeCertificate()
const MORE_THAN_BUFFERS = 64 * 2 ** 20

/** Records the calls of a socket's methods from now on, and passes them on. */
function watch(socket: net.Socket): [name: string, ...args: unknown[]][] {
  const calls: [string, ...unknown[]][] = []
  const destroy = replaceDestroy(socket, function (...args) {
    calls.push(['_destroy', ...args])
    destroy.apply(this, args)
  })
  const final = replaceFinal(socket, function (...args) {
    calls.push(['_final', ...args])
    final.apply(this, args)
  })
  const destroySoon = replaceDestroySoon(socket, function (...args) {
    calls.push(['destroySoon', ...args])
    destroySoon.apply(this, args)
  })
  return calls
}

function namesOf(calls: readonly [name: string, ...args: unknown[]][]): string[] {
  return calls.map(([name]) => name)
}

const callback = expect.any(Function) as unknown

describe('net.Socket#_destroy', () => {
  it('is called once, with (error, callback), by destroy(error)', async () => {
    const { client } = await connectedPair()
    const calls = watch(client)
    const error = new Error('mine')
    const closed = new Promise((resolve) => client.once('close', resolve))
    client.destroy(error)
    client.destroy()
    expect(calls).toEqual([['_destroy', error, callback]])
    await closed
    expect(calls).toHaveLength(1)
  })

  it('is called with (null, callback) by destroy()', async () => {
    const { client } = await connectedPair()
    const calls = watch(client)
    client.destroy()
    expect(calls).toEqual([['_destroy', null, callback]])
  })

  it('closes the descriptor', async () => {
    const { client } = await connectedPair()
    const descriptors: number[] = []
    const own = replaceDestroy(client, function (...args) {
      descriptors.push(transportFd(this))
      own.apply(this, args)
      descriptors.push(transportFd(this))
    })
    const fd = transportFd(client)
    client.destroy()
    expect(descriptors).toEqual([fd, -1])
  })

  it("calls its callback before 'close' is emitted", async () => {
    const { client } = await connectedPair()
    let proceed: (() => void) | undefined
    const own = replaceDestroy(client, function (error, done) {
      own.call(this, error, (failure) => {
        proceed = () => {
          done(failure)
        }
      })
    })
    const closes = jest.fn()
    client.once('close', closes)
    client.destroy()
    while (proceed === undefined) await new Promise(setImmediate)
    expect(closes).not.toHaveBeenCalled()
    proceed()
    await once(client, 'close')
  })

  it('is called after both sides have ended', async () => {
    const { client, accepted } = await connectedPair()
    const calls = watch(client)
    client.resume().end()
    accepted.resume().end()
    await once(client, 'close')
    expect(namesOf(calls)).toEqual(['_final', '_destroy'])
  })

  it('is called with the error if the peer resets the connection', async () => {
    const { client, accepted } = await connectedPair()
    const calls = watch(client)
    accepted.resetAndDestroy()
    client.resume()
    await new Promise((resolve) => client.once('close', resolve))
    expect(calls).toEqual([['_destroy', expect.objectContaining({ code: 'ECONNRESET' }), callback]])
  })

  it('is called with the error if connect() fails', async () => {
    const server = net.createServer()
    const port = await listen(server)
    server.close()
    const client = net.connect(port, loopback[4])
    destroyLater(client)
    const calls = watch(client)
    await new Promise((resolve) => client.once('close', resolve))
    expect(calls).toEqual([
      ['_destroy', expect.objectContaining({ code: 'ECONNREFUSED' }), callback],
    ])
  })
})

describe('net.Socket#_final', () => {
  it('is called with (callback) by end(), after all data is written', async () => {
    const { client, accepted } = await connectedPair()
    const left: number[] = []
    const own = replaceFinal(client, function (...args) {
      left.push(this.writableLength)
      expect(args).toEqual([callback])
      own.apply(this, args)
    })
    client.write(Buffer.alloc(MORE_THAN_BUFFERS))
    client.end()
    expect(client.writableLength).toBe(MORE_THAN_BUFFERS)
    accepted.resume()
    await once(client, 'finish')
    expect(left).toEqual([0])
  })

  it('sends the FIN', async () => {
    const { client, accepted } = await connectedPair()
    replaceFinal(client, (done) => {
      done()
    })
    const ended = jest.fn()
    accepted.resume().on('end', ended)
    client.end('data')
    await Promise.all([once(client, 'finish'), once(accepted, 'data')])
    // A FIN right behind the data would have arrived by now.
    accepted.write('answer')
    client.resume()
    await once(client, 'data')
    expect(ended).not.toHaveBeenCalled()
  })

  it('is called before connect() is complete, and again afterwards', async () => {
    const port = await listen(net.createServer(destroyLater))
    const client = net.connect(port, loopback[4])
    destroyLater(client)
    const pending: boolean[] = []
    const own = replaceFinal(client, function (...args) {
      pending.push(this.pending)
      own.apply(this, args)
    })
    client.end()
    await once(client, 'finish')
    expect(pending).toEqual([true, false])
  })

  it('is not called by destroy()', async () => {
    const { client } = await connectedPair()
    const calls = watch(client)
    client.write('data')
    client.destroy()
    await once(client, 'close')
    expect(namesOf(calls)).toEqual(['_destroy'])
  })

  it('may be missing on a stream that is not a net.Socket', async () => {
    const stream = new Duplex({
      read: () => undefined,
      write: (_chunk, _encoding, done) => {
        done()
      },
    })
    const own = replaceFinal(stream as unknown as net.Socket, function (...args) {
      own.apply(this, args)
    })
    stream.end('data')
    await once(stream, 'finish')
  })
})

describe('net.Socket#destroySoon', () => {
  it("calls _final, and _destroy in the tick of 'finish'", async () => {
    const { client } = await connectedPair()
    const calls = watch(client)
    client.write('data')
    client.destroySoon()
    expect(client.destroyed).toBe(false)
    await once(client, 'finish')
    expect(client.destroyed).toBe(true)
    expect(namesOf(calls)).toEqual(['destroySoon', '_final', '_destroy'])
  })

  it('calls _destroy at once if the stream has finished', async () => {
    const { client } = await connectedPair()
    client.end()
    await once(client, 'finish')
    const calls = watch(client)
    client.destroySoon()
    expect(namesOf(calls)).toEqual(['destroySoon', '_destroy'])
  })

  it.each([
    ['close', ['destroySoon', '_final', '_destroy']],
    ['keep-alive', []],
  ])(
    'is called at the end of an http response with Connection: %s only if that closes the connection',
    async (connection, expected) => {
      const server = http.createServer((_request, response) => {
        response.setHeader('Connection', connection)
        response.end('answer')
      })
      const port = await listen(server)
      const client = net.connect(port, loopback[4])
      destroyLater(client)
      const [accepted] = (await once(server, 'connection')) as [net.Socket]
      destroyLater(accepted)
      const calls = watch(accepted)
      const closed = new Promise((resolve) => accepted.once('close', resolve))
      client.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
      await once(client, 'data')
      if (expected.length > 0) await closed
      expect(namesOf(calls)).toEqual(expected)
    },
  )

  it('is called by an http client without keep-alive when its response is complete', async () => {
    const server = http.createServer((_request, response) => response.end('answer'))
    const port = await listen(server)
    const agent = new http.Agent()
    const request = http.get({ host: loopback[4], port, agent })
    const [socket] = (await once(request, 'socket')) as [net.Socket]
    const calls = watch(socket)
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    response.resume()
    await once(socket, 'close')
    expect(namesOf(calls)).toEqual(['destroySoon', '_final', '_destroy'])
  })
})

describe('the handle of a net.Socket', () => {
  it.each(['tcp', 'tls'])(
    "stops reading when an end is pushed, over %s: 'end' is emitted, and later input causes no error",
    async (transport) => {
      const server =
        transport === 'tls'
          ? tls.createServer({ ...certificate, allowHalfOpen: true })
          : net.createServer({ allowHalfOpen: true })
      const accepted = once(server, transport === 'tls' ? 'secureConnection' : 'connection')
      const port = await listen(server)
      closeLater(() => server.close())
      const client =
        transport === 'tls'
          ? tls.connect({ port, host: loopback[4], ca: certificate.cert, servername: 'localhost' })
          : net.connect({ port, host: loopback[4], allowHalfOpen: true })
      destroyLater(client)
      const [peer] = (await accepted) as [net.Socket]
      destroyLater(peer)
      const chunks: Buffer[] = []
      client.on('data', (chunk: Buffer) => chunks.push(chunk))
      peer.write('heard')
      await once(client, 'data')
      pushEnd(client)
      peer.write('too late')
      await once(client, 'end')
      expect(Buffer.concat(chunks).toString()).toBe('heard')
    },
  )

  it('may be gone when an end is pushed', () => {
    const socket = new net.Socket()
    expect(() => {
      pushEnd(socket)
    }).not.toThrow()
  })
})

describe('net.Socket#resetAndClosing', () => {
  it('is true in _destroy only after resetAndDestroy()', async () => {
    const { client, accepted } = await connectedPair()
    const seen: boolean[] = []
    for (const socket of [client, accepted]) {
      expect(isResetting(socket)).toBe(false)
      const own = replaceDestroy(socket, function (...args) {
        seen.push(isResetting(this))
        own.apply(this, args)
      })
    }
    client.resetAndDestroy()
    accepted.destroy()
    expect(seen).toEqual([true, false])
  })

  it('can be set to false in _destroy, and then the peer receives a FIN instead of a RST', async () => {
    const { client, accepted } = await connectedPair()
    const errors = jest.fn()
    accepted.resume().on('error', errors)
    const own = replaceDestroy(client, function (...args) {
      closeWithoutReset(this)
      own.apply(this, args)
    })
    const ends = Promise.all([once(accepted, 'end'), once(client, 'close')])
    client.resetAndDestroy()
    await ends
    expect(errors).not.toHaveBeenCalled()
  })

  it('is false until the connection is made if resetAndDestroy() was called before', async () => {
    const port = await listen(net.createServer(destroyLater))
    const client = net.connect(port, loopback[4])
    destroyLater(client)
    client.resetAndDestroy()
    expect([client.destroyed, isResetting(client)]).toEqual([false, false])
    await once(client, 'close')
  })
})

describe('TLSSocket#_final', () => {
  it('is inherited from net.Socket, and calls no method of the socket below', async () => {
    const server = tls.createServer(certificate, destroyLater)
    const port = await listen(server)
    const carrier = net.connect(port, loopback[4])
    const socket = tls.connect({ socket: carrier, ca: certificate.cert, servername: 'localhost' })
    destroyLater(socket)
    await once(socket, 'secureConnect')
    const calls = watch(carrier)
    const finals: net.Socket[][] = []
    followTlsFinals((above, below, own, done) => {
      finals.push([above, below])
      own.call(above, done)
    })
    const plain = net.connect(port, loopback[4])
    destroyLater(plain)
    plain.end()
    await once(plain, 'finish')
    socket.end()
    await once(socket, 'finish')
    expect(finals).toEqual([[socket, carrier]])
    expect(calls).toEqual([])
  })
})

describe('TLSSocket#_destroy', () => {
  async function layered(): Promise<{ socket: tls.TLSSocket; carrier: net.Socket }> {
    const server = tls.createServer(certificate, destroyLater)
    const port = await listen(server)
    const carrier = net.connect(port, loopback[4])
    const socket = tls.connect({ socket: carrier, ca: certificate.cert, servername: 'localhost' })
    destroyLater(socket)
    closeLater(() => {
      carrier.destroy()
    })
    await once(socket, 'secureConnect')
    expect(carrierOf(socket)).toBe(carrier)
    return { socket, carrier }
  }

  it("is called by Node on 'close' of the connection below", async () => {
    const { socket, carrier } = await layered()
    const calls = watch(socket)
    carrier.destroy()
    await once(socket, 'close')
    expect(namesOf(calls).at(-1)).toBe('_destroy')
  })

  it("can be delayed until 'close' if the connection below is destroyed", async () => {
    const { socket, carrier } = await layered()
    const order: string[] = []
    const own = replaceDestroy(socket, function (...args) {
      order.push('_destroy')
      own.apply(this, args)
    })
    destroyAfterCarrier(socket, carrier)
    carrier.destroy()
    socket.destroy()
    expect([socket.destroyed, order]).toEqual([true, []])
    carrier.once('close', () => order.push("'close' below"))
    await once(socket, 'close')
    expect(order).toEqual(['_destroy', "'close' below"])
  })

  it("is not delayed if that 'close' is being emitted", async () => {
    const { socket, carrier } = await layered()
    const calls = watch(socket)
    const names = new Promise((resolve) => {
      carrier.prependOnceListener('close', () => {
        destroyAfterCarrier(socket, carrier)
        socket.destroy()
        resolve(namesOf(calls))
      })
    })
    carrier.destroy()
    await once(socket, 'close')
    expect(await names).toEqual(['_destroy'])
  })

  it('is not delayed if the connection below is open', async () => {
    const { socket, carrier } = await layered()
    const calls = watch(socket)
    destroyAfterCarrier(socket, carrier)
    socket.destroy()
    expect(namesOf(calls)).toEqual(['_destroy'])
  })
})
