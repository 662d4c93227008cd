/** Contract tests: what lib/node/closing.ts takes a closing net.Socket to do, on the release that runs them. */
import { once } from 'node:events'
import * as http from 'node:http'
import * as net from 'node:net'
import { Duplex } from 'node:stream'
import * as tls from 'node:tls'
import {
  closeWithoutReset,
  destroyAfterCarrier,
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

/** The calls of a socket's methods from now on, with their arguments, each of which does its work. */
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

  it('closes the descriptor, which is there before it and not after', async () => {
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

  it("ends by 'close' when its callback is called", async () => {
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

  it('is called when both sides have ended', async () => {
    const { client, accepted } = await connectedPair()
    const calls = watch(client)
    client.resume().end()
    accepted.resume().end()
    await once(client, 'close')
    expect(namesOf(calls)).toEqual(['_final', '_destroy'])
  })

  it('is called with the error of a connection that the peer has reset', async () => {
    const { client, accepted } = await connectedPair()
    const calls = watch(client)
    accepted.resetAndDestroy()
    client.resume()
    await new Promise((resolve) => client.once('close', resolve))
    expect(calls).toEqual([['_destroy', expect.objectContaining({ code: 'ECONNRESET' }), callback]])
  })

  it('is called with the error of a connect() that fails', async () => {
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
  it('is called with (callback) by end(), once all is written', async () => {
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

  it('sends the FIN: where it is not called, the peer sees no end', async () => {
    const { client, accepted } = await connectedPair()
    replaceFinal(client, (done) => {
      done()
    })
    const ended = jest.fn()
    accepted.resume().on('end', ended)
    client.end('data')
    await Promise.all([once(client, 'finish'), once(accepted, 'data')])
    // By now the FIN would have come, right behind the data.
    accepted.write('answer')
    client.resume()
    await once(client, 'data')
    expect(ended).not.toHaveBeenCalled()
  })

  it('is called before connect() is complete, and again when it is', async () => {
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

  it('may be missing on a stream that is no net.Socket', async () => {
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

  it('calls _destroy at once where the stream has finished', async () => {
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
    'is called by the end of an http response with Connection: %s as far as it closes',
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

  it('is called by an http client without keep-alive when its answer is complete', async () => {
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

describe('net.Socket#resetAndClosing', () => {
  it('is true in _destroy after resetAndDestroy(), and at no other time', async () => {
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

  it('is read in _destroy: set to false there, the peer sees an end and no reset', async () => {
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

  it('waits for the connection where resetAndDestroy() was called before', async () => {
    const port = await listen(net.createServer(destroyLater))
    const client = net.connect(port, loopback[4])
    destroyLater(client)
    client.resetAndDestroy()
    expect([client.destroyed, isResetting(client)]).toEqual([false, false])
    await once(client, 'close')
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

  it("is called by Node at the 'close' of the connection below", async () => {
    const { socket, carrier } = await layered()
    const calls = watch(socket)
    carrier.destroy()
    await once(socket, 'close')
    expect(namesOf(calls).at(-1)).toBe('_destroy')
  })

  it("waits for that 'close' once the connection below is destroyed", async () => {
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

  it("does not wait within that 'close'", async () => {
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

  it('does not wait where the connection below is open', async () => {
    const { socket, carrier } = await layered()
    const calls = watch(socket)
    destroyAfterCarrier(socket, carrier)
    socket.destroy()
    expect(namesOf(calls)).toEqual(['_destroy'])
  })
})
