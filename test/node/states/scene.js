'use strict'

/** Connections on loopback, of which states are made. All are closed when the scene is over. */
const { once } = require('node:events')
const https = require('node:https')
const net = require('node:net')
const tls = require('node:tls')
const { RawSocket, tcpInfo, tune } = require('../../../dist')
const { native } = require('../../../dist/kernel/binding')

const HOST = '127.0.0.1'
/** A condition that is still false after this time never becomes true. */
const DEADLINE_MS = 5_000

/** Servers and contexts that are slow to make and that no state changes. All scenes of a process share them. */
class Common {
  #clientContext
  #servers = new Map()
  #connections = new Set()

  constructor(certificate) {
    this.certificate = certificate
    this.serverContext = tls.createSecureContext(certificate)
    this.#clientContext = tls.createSecureContext({ ca: certificate.cert })
  }

  /** Options of a client that trusts the servers of the scenes. */
  get trusting() {
    return { host: HOST, secureContext: this.#clientContext, servername: 'localhost' }
  }

  /** A shared server whose connections belong to the scene. */
  async server() {
    return this.#listening('plain', () => net.createServer())
  }

  async tlsServer(options) {
    return this.#listening(`tls ${JSON.stringify(options)}`, () =>
      this.#owning(tls.createServer({ ...this.certificate, ...options })),
    )
  }

  async httpsServer() {
    return this.#listening('https', () => this.#owning(https.createServer(this.certificate)))
  }

  async #listening(name, create) {
    let server = this.#servers.get(name)
    if (server === undefined) {
      server = create()
      this.#servers.set(name, server)
      server.listen(0, HOST)
      await once(server, 'listening')
    }
    return server
  }

  /** Lets closeConnections() close the connections of a TLS server. */
  #owning(server) {
    server.on('connection', (socket) => this.#connections.add(socket.on('error', ignore)))
    server.on('secureConnection', (socket) => socket.on('error', ignore))
    return server.on('tlsClientError', ignore)
  }

  closeConnections() {
    for (const socket of this.#connections) socket.destroy()
    this.#connections.clear()
  }
}

class Scene {
  #closers = []
  #common

  constructor(common) {
    this.#common = common
  }

  get certificate() {
    return this.#common.certificate
  }

  get trusting() {
    return this.#common.trusting
  }

  /** Options of a TLS socket on the server's side. */
  get serving() {
    return { isServer: true, secureContext: this.#common.serverContext }
  }

  later(close) {
    this.#closers.push(close)
  }

  /** Destroys the stream when the scene is over, and ignores its errors. */
  keep(stream) {
    if (typeof stream.on === 'function') stream.on('error', ignore)
    this.later(() => stream.destroy())
    return stream
  }

  /** Closes the server and its connections when the scene is over, and ignores its errors. */
  own(server) {
    server.on('error', ignore).on('connection', (socket) => this.keep(socket))
    server.on('secureConnection', (socket) => socket.on('error', ignore))
    server.on('session', (session) => session.on('error', ignore))
    server.on('tlsClientError', ignore)
    this.later(() => {
      server.closeAllConnections?.()
      server.close()
    })
    return server
  }

  async listen(server, ...to) {
    this.own(server)
    if (to.length === 0) server.listen(0, HOST)
    else server.listen(...to)
    await once(server, 'listening')
    return server.address().port
  }

  /** Starts a server that reads everything and answers nothing. */
  async serve(options = {}) {
    return this.listen(net.createServer(options, (socket) => socket.resume()))
  }

  async serveTls(options = {}) {
    const server = await this.#common.tlsServer(options)
    this.#keepFrom(server, 'secureConnection', (socket) => socket.resume())
    return server.address().port
  }

  /** Keeps the sockets that a shared server accepts during the scene. */
  #keepFrom(server, event, act = ignore) {
    const accepted = (socket) => act(this.keep(socket))
    server.on(event, accepted)
    this.later(() => server.off(event, accepted))
  }

  /** Returns the shared https server. Scenes run one after another, so all its requests are those of this scene. */
  async httpsServer() {
    return this.#common.httpsServer()
  }

  /** Returns the port of a listener whose accept queue is full, so that the kernel drops SYNs to it. */
  async blackHole() {
    const [listener, ...clients] = [0, 1, 2].map(() => RawSocket.open(4))
    this.later(() => {
      for (const socket of [listener, ...clients]) socket.close()
    })
    const { port } = listener.bind({ address: HOST }).localAddress
    native.listenFd(listener.fd, 0)
    for (const { fd } of clients) native.connectFd(fd, HOST, port)
    while (tcpInfo(listener).unacked === 0) await immediate()
    return port
  }

  connect(port, options = {}) {
    return this.keep(net.connect({ host: HOST, port, ...options }))
  }

  connectTls(port, options = {}) {
    return this.keep(tls.connect({ ...this.trusting, port, ...options }))
  }

  /** Makes both ends of a connection. Neither is read from. */
  async pair({ server: serverOptions = {}, client: clientOptions = {} } = {}) {
    const isPlain = Object.keys(serverOptions).length === 0
    const server = isPlain ? await this.#common.server() : net.createServer(serverOptions)
    if (isPlain) this.#keepFrom(server, 'connection')
    else await this.listen(server)
    const { port } = server.address()
    const accepting = once(server, 'connection')
    const client = this.connect(port, clientOptions)
    const [[accepted]] = await Promise.all([accepting, once(client, 'connect')])
    return { client, accepted, server, port }
  }

  /** Makes both ends of a TLS connection, and completes the handshake. */
  async tlsPair({ server: serverOptions = {}, client: clientOptions = {} } = {}) {
    const server = await this.#common.tlsServer(serverOptions)
    const { port } = server.address()
    const accepting = once(server, 'secureConnection')
    const below = once(server, 'connection')
    const client = this.connectTls(port, clientOptions)
    const secure = once(client, 'secureConnect')
    const [[accepted], [carrier]] = await Promise.all([accepting, below, secure])
    this.keep(accepted)
    return { client, accepted, carrier, port }
  }

  dispose() {
    for (const close of this.#closers.splice(0).reverse()) close()
    this.#common.closeConnections()
  }
}

function ignore() {
  // Errors in a scene do not matter.
}

/** Makes two streams, each of which reads what the other one writes. */
function duplexPair() {
  const { Duplex } = require('node:stream')
  const other = new Map()
  const end = () =>
    new Duplex({
      read() {},
      write(chunk, _encoding, callback) {
        other.get(this).push(chunk)
        callback()
      },
      final(callback) {
        other.get(this).push(null)
        callback()
      },
    })
  const [left, right] = [end(), end()]
  other.set(left, right).set(right, left)
  return [left, right]
}

/** More than the kernel accepts from a connection with small buffers. */
const large = Buffer.alloc(2 ** 20)

/** Keeps the kernel from enlarging the buffers of a connection. */
function narrow(...ends) {
  for (const end of ends) tune(end, { SO_SNDBUF: 16_384, SO_RCVBUF: 65_536 })
}

const immediate = () => new Promise((resolve) => setImmediate(resolve))
const nextTick = () => new Promise((resolve) => process.nextTick(resolve))
const closed = (stream) => new Promise((resolve) => stream.once('close', resolve))

/** Checks the condition in every turn of the event loop, since a state may last only one turn. */
async function until(condition) {
  const end = performance.now() + DEADLINE_MS
  while (!condition()) {
    if (performance.now() > end) throw new Error(`Never came true: ${condition}`)
    await immediate()
  }
}

module.exports = {
  Common,
  HOST,
  Scene,
  closed,
  duplexPair,
  ignore,
  immediate,
  large,
  narrow,
  nextTick,
  once,
  until,
}
