'use strict'

/** What a state is made of: connections on loopback, all closed again when the scene is over. */
const { once } = require('node:events')
const https = require('node:https')
const net = require('node:net')
const tls = require('node:tls')
const { RawSocket, tcpInfo, tune } = require('../../../dist')
const { native } = require('../../../dist/kernel/binding')

const HOST = '127.0.0.1'
/** Where a condition of a state has not come true by then, it never will. */
const DEADLINE_MS = 5_000

/** What takes long to make and is no part of a state: all scenes of a process share it. */
class Common {
  #clientContext
  #servers = new Map()
  #connections = new Set()

  constructor(certificate) {
    this.certificate = certificate
    this.serverContext = tls.createSecureContext(certificate)
    this.#clientContext = tls.createSecureContext({ ca: certificate.cert })
  }

  /** The options of a client that trusts the servers of the scenes. */
  get trusting() {
    return { host: HOST, secureContext: this.#clientContext, servername: 'localhost' }
  }

  /** A server whose connections are the scene's. */
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

  /** Has the connections of a TLS server closed by closeConnections(). */
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

  /** The options of a TLS socket that is the server's. */
  get serving() {
    return { isServer: true, secureContext: this.#common.serverContext }
  }

  later(close) {
    this.#closers.push(close)
  }

  /** Destroys the stream when the scene is over, whatever errors it still has. */
  keep(stream) {
    if (typeof stream.on === 'function') stream.on('error', ignore)
    this.later(() => stream.destroy())
    return stream
  }

  /** A server whose connections and errors are the scene's. */
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

  /** A server that reads what comes and answers nothing. */
  async serve(options = {}) {
    return this.listen(net.createServer(options, (socket) => socket.resume()))
  }

  async serveTls(options = {}) {
    const server = await this.#common.tlsServer(options)
    this.#keepFrom(server, 'secureConnection', (socket) => socket.resume())
    return server.address().port
  }

  /** Keeps the sockets that a shared server accepts until the scene is over. */
  #keepFrom(server, event, act = ignore) {
    const accepted = (socket) => act(this.keep(socket))
    server.on(event, accepted)
    this.later(() => server.off(event, accepted))
  }

  /** An https server that all share: no request comes to it but those of this scene. */
  async httpsServer() {
    return this.#common.httpsServer()
  }

  /** A port of a listener whose accept queue is full: the SYN of who connects to it is dropped. */
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

  /** Both ends of a connection; neither is read unless the caller does. */
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

  /** Both ends of a TLS connection, with the handshake complete. */
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
  // What fails in a scene is not what is looked at.
}

/** Two streams, each of which reads what the other one writes. */
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

/** More than the kernel takes of a connection whose buffers are narrow. */
const large = Buffer.alloc(2 ** 20)

/** Keeps the kernel's buffers of a connection from growing. */
function narrow(...ends) {
  for (const end of ends) tune(end, { SO_SNDBUF: 16_384, SO_RCVBUF: 65_536 })
}

const immediate = () => new Promise((resolve) => setImmediate(resolve))
const nextTick = () => new Promise((resolve) => process.nextTick(resolve))
const closed = (stream) => new Promise((resolve) => stream.once('close', resolve))

/** Turns of the event loop are what a state is made of, so the condition is looked at in each. */
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
