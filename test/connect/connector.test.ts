import { once } from 'node:events'
import * as http from 'node:http'
import * as net from 'node:net'
import { Duplex, PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import * as tls from 'node:tls'
import { Connector, SourcePool, closeSocket, getCloseMode, getOption } from '../../lib'
import { makeCertificate, type Certificate } from '../helpers/certificate'
import { coded } from '../helpers/coded'
import { until } from '../helpers/until'
import { destroyLater, failureOf, listen, loopback } from '../sockets'

const host = loopback[4]
let certificate: Certificate

beforeAll(() => {
  certificate = makeCertificate()
})

/** Starts an echo server, so that a close has data to wait for. */
function serve(server: net.Server | tls.Server): Promise<number> {
  server.on(server instanceof tls.Server ? 'secureConnection' : 'connection', (socket) => {
    destroyLater(socket as net.Socket)
    ;(socket as net.Socket).pipe(socket as net.Socket)
  })
  return listen(server)
}

async function echo(socket: net.Socket): Promise<void> {
  destroyLater(socket)
  socket.write('asked')
  expect(String((await once(socket, 'data'))[0])).toBe('asked')
}

async function close(socket: net.Socket): Promise<void> {
  socket.destroy()
  await once(socket, 'close')
}

describe('a Connector', () => {
  it('makes any number of connections with the same settings', async () => {
    const port = await serve(net.createServer())
    const connector = new Connector({
      settings: { TCP_KEEPIDLE: 44 },
      source: '127.0.0.7',
      close: 'deliver',
    })
    for (let i = 0; i < 3; i++) {
      const socket = connector.connect({ host, port })
      await echo(socket)
      expect(getOption(socket, 'TCP_KEEPIDLE')).toBe(44)
      expect(socket.localAddress).toBe('127.0.0.7')
      expect(getCloseMode(socket)).toMatchObject({ mode: 'deliver' })
      await close(socket)
    }
    const counted = await until(
      'all are counted',
      () => connector.counters(),
      ({ closes }) => closes.deliver === 3,
    )
    expect(counted).toMatchObject({ fallbacks: {}, timeWaitLeft: 0, discardedBytes: 0 })
  })

  it('counts each close of its own connections, and no other, as it actually happened', async () => {
    const port = await serve(net.createServer())
    const [one, other] = [new Connector({ close: 'deliver' }), new Connector({ close: 'reset' })]
    const socket = one.connect({ host, port })
    await echo(socket)
    socket.end()
    await once(socket, 'close')
    const counted = await until(
      'it is counted',
      () => one.counters(),
      ({ closes }) => closes.fin + closes.deliver === 1,
    )
    expect(counted).toMatchObject({ closes: { fin: 1, deliver: 0 }, fallbacks: { ended: 1 } })
    expect(other.counters().closes).toEqual({ fin: 0, deliver: 0, lingering: 0, reset: 0 })
  })

  it('makes the connections of a client that accepts a function for it', async () => {
    const server = http.createServer((_, response) => response.end('answer'))
    const port = await listen(server)
    const connector = new Connector({ settings: { TCP_KEEPIDLE: 44 }, close: 'deliver' })
    const createConnection = (options: http.ClientRequestArgs): net.Socket =>
      connector.connect(options as net.NetConnectOpts)
    const request = http.get({ host, port, createConnection })
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    expect(getOption(response.socket, 'TCP_KEEPIDLE')).toBe(44)
    expect(await text(response)).toBe('answer')
    await until(
      'it is counted',
      () => connector.counters().closes,
      ({ deliver, fin }) => deliver + fin === 1,
    )
  })

  it('returns its counters as a snapshot', async () => {
    const port = await serve(net.createServer())
    const connector = new Connector({ close: 'deliver' })
    const before = connector.counters()
    const socket = connector.connect({ host, port })
    await echo(socket)
    await closeSocket(socket)
    expect(before.closes.deliver).toBe(0)
    expect(connector.counters().closes.deliver).toBe(1)
  })

  it('connects over TLS, with the mode on the TLS socket', async () => {
    const port = await serve(tls.createServer({ ...certificate }))
    const connector = new Connector({ settings: { TCP_KEEPIDLE: 44 }, close: 'deliver' })
    const listener = jest.fn()
    const options = { host, port, ca: certificate.cert, servername: 'localhost' }
    const socket = connector.connectTls(options, listener)
    await echo(socket)
    expect(listener).toHaveBeenCalledTimes(1)
    expect(socket.authorized).toBe(true)
    expect(getOption(socket, 'TCP_KEEPIDLE')).toBe(44)
    await close(socket)
    await until(
      'it is counted once',
      () => connector.counters().closes,
      ({ deliver }) => deliver === 1,
    )
  })

  it('adds TLS to a connection of its own, and counts it once', async () => {
    const port = await serve(tls.createServer({ ...certificate }))
    const connector = new Connector({ close: 'deliver' })
    const carrier = connector.connect({ host, port })
    await once(carrier, 'connect')
    const socket = connector.wrapTls(carrier, { ca: certificate.cert, servername: 'localhost' })
    await echo(socket)
    expect(getCloseMode(socket)).toMatchObject({ mode: 'deliver' })
    await close(socket)
    await until(
      'it is counted',
      () => connector.counters().closes,
      ({ deliver }) => deliver === 1,
    )
    if (!carrier.closed) await once(carrier, 'close')
    expect(connector.counters().closes).toEqual({ fin: 0, deliver: 1, lingering: 0, reset: 0 })
  })

  it("adds TLS to a connection made elsewhere, with the connector's mode", async () => {
    const port = await serve(tls.createServer({ ...certificate }))
    const connector = new Connector({ close: 'deliver' })
    const carrier = net.connect(port, host)
    await once(carrier, 'connect')
    const socket = connector.wrapTls(carrier, { ca: certificate.cert, servername: 'localhost' })
    await echo(socket)
    expect(getCloseMode(socket)).toMatchObject({ mode: 'deliver' })
  })

  it('adds TLS to a stream that is not a socket', async () => {
    const there = new PassThrough()
    const here = new PassThrough()
    const server = new tls.TLSSocket(Duplex.from({ readable: there, writable: here }), {
      isServer: true,
      secureContext: tls.createSecureContext(certificate),
    })
    server.pipe(server)
    const connector = new Connector({ close: 'deliver' })
    const carrier = Duplex.from({ readable: here, writable: there })
    const socket = connector.wrapTls(carrier, { ca: certificate.cert, servername: 'localhost' })
    await echo(socket)
    socket.destroy()
    server.destroy()
  })

  it('closes the connection if TLS fails', async () => {
    const port = await serve(net.createServer())
    const connector = new Connector()
    const carrier = connector.connect({ host, port })
    destroyLater(carrier)
    await once(carrier, 'connect')
    const closed = once(carrier, 'close')
    const options = { minVersion: 'TLSv9' as tls.SecureVersion }
    expect(() => connector.wrapTls(carrier, options)).toThrow(
      coded('ERR_TLS_INVALID_PROTOCOL_VERSION'),
    )
    await closed
  })

  it('spreads its connections over the addresses of a pool', async () => {
    const port = await serve(net.createServer())
    const pool = new SourcePool(['127.0.0.7', '127.0.0.8'])
    const connector = new Connector({ source: pool })
    const sockets = [connector.connect({ host, port }), connector.connect({ host, port })]
    await Promise.all(sockets.map(echo))
    expect(sockets.map(({ localAddress }) => localAddress).toSorted()).toEqual([
      '127.0.0.7',
      '127.0.0.8',
    ])
  })

  it.each<[string, unknown, string]>([
    ['a misspelled option', { setings: {} }, 'ERR_SOCKET_TUNER_UNKNOWN_OPTION'],
    [
      'a misspelled setting',
      { settings: { TCP_NODELAI: true } },
      'ERR_SOCKET_TUNER_UNKNOWN_OPTION',
    ],
    ['a value that is not an object', 5, 'ERR_INVALID_ARG_TYPE'],
    ['null', null, 'ERR_INVALID_ARG_TYPE'],
    ['a source that is a host name', { source: 'localhost' }, 'ERR_INVALID_ARG_VALUE'],
    ['an unknown mode', { close: 'gently' }, 'ERR_INVALID_ARG_VALUE'],
  ])('refuses %s at once', (_, options, code) => {
    expect(failureOf(() => new Connector(options as object))).toMatchObject({ code })
  })

  it.each([undefined, null, 5, {}, new net.Server()])(
    'refuses to add TLS to a value that is not a stream (%#)',
    (carrier) => {
      const connector = new Connector()
      expect(() => connector.wrapTls(carrier as never)).toThrow(coded('ERR_INVALID_ARG_TYPE'))
    },
  )
})
