'use strict'

/** One end of many connections: performs the steps of the test one at a time, and reports. */
const { once } = require('node:events')
const { readFileSync } = require('node:fs')
const net = require('node:net')
const tls = require('node:tls')
const { closeSocket, queueSizes, setCloseMode } = require('../../../dist')
const { observeClose } = require('../../../dist/close/hooks')
const { config, ready } = require('./parent')

const { certificate, ports } = config
const ends = new Map()

function add(id, socket) {
  const end = { socket, outcomes: [], closed: false, readable: 0 }
  ends.set(id, end)
  socket.on('error', () => undefined)
  socket.on('close', () => (end.closed = true))
  return end
}

/** Resolves when the stream has emitted the event, or is closed. */
function done(socket, event, act) {
  return new Promise((resolve) => {
    if (socket.destroyed) return resolve()
    socket.once(event, resolve)
    socket.once('close', resolve)
    act()
  })
}

const steps = {
  write: (socket) =>
    done(socket, 'written', () => socket.write('word', () => socket.emit('written'))),
  end: (socket) => socket.writableFinished || done(socket, 'finish', () => socket.end()),
  endCloses: (socket) => done(socket, 'close', () => socket.end()),
  destroy: (socket) => done(socket, 'close', () => socket.destroy()),
  destroySoon: (socket) => done(socket, 'close', () => socket.destroySoon()),
  reset: (socket) =>
    done(socket, 'close', () =>
      socket instanceof tls.TLSSocket ? socket.destroy() : socket.resetAndDestroy(),
    ),
  read: (socket) => void socket.resume(),
}

const trust = (maxVersion) => ({ ca: certificate.cert, servername: 'localhost', maxVersion })

/** The TLS socket, or a promise of it, over the plain socket of an end. */
function overlaid(socket, version) {
  if (ports !== undefined) return tls.connect({ ...trust(version), socket })
  const upper = new Promise((resolve) => overlays.set(socket.remotePort, resolve))
  overlay.emit('connection', socket)
  return upper
}

const questions = {
  open: ({ id, port, transport, version }) =>
    new Promise((resolve, reject) => {
      const to = { host: '127.0.0.1', port, allowHalfOpen: true }
      const socket =
        transport === 'tls' ? tls.connect({ ...to, ...trust(version) }) : net.connect(to)
      socket.pause()
      add(id, socket)
      socket.once('error', reject)
      socket.once(transport === 'tls' ? 'secureConnect' : 'connect', () => {
        resolve(socket.localPort)
      })
    }),
  /**
   * Registers the accepted end of the connection between these ports under an id. Each is taken only once, because a
   * client may use the same port again, even for both servers at the same time.
   */
  accepted: ({ id, port, clientPort }) => {
    const key = `${port}:${clientPort}`
    const socket = accepted.get(key)
    if (socket === undefined) return false
    accepted.delete(key)
    add(id, socket)
    return true
  },
  /** Sets the standing close mode before any other step. */
  stand: ({ id, mode, onEnd }) => {
    const { socket, outcomes } = ends.get(id)
    if (mode !== null) setCloseMode(socket, { mode, idleMs: 30_000, onEnd })
    observeClose(socket, (outcome) => outcomes.push(outcome))
  },
  /** Puts TLS over a plain socket. The program uses the TLS socket from now on. */
  overlay: async ({ id, version }) => {
    const end = ends.get(id)
    const upper = await overlaid(end.socket, version)
    upper.pause()
    const { outcomes } = end
    Object.assign(add(id, upper), { outcomes })
    if (ports !== undefined) await once(upper, 'secureConnect')
  },
  step: ({ id, name }) => steps[name](ends.get(id).socket),
  /** Starts the close without waiting for it, because some closes wait for the peer. */
  close: ({ id, options }) => {
    const end = ends.get(id)
    end.report = closeSocket(end.socket, options)
  },
  report: async ({ id }) => {
    const { error, ...report } = await ends.get(id).report
    return { ...report, error: error?.code }
  },
  outcomes: ({ id }) => ends.get(id).outcomes,
  isClosed: ({ id }) => ends.get(id).closed,
  /** The bytes, including a FIN, that the kernel of the other end has not acknowledged; 0 once closed. */
  unacknowledged: ({ id }) => {
    const { socket } = ends.get(id)
    if (socket.destroyed || socket.writableLength > 0) return socket.destroyed ? 0 : 1
    return queueSizes(socket).unacknowledged
  },
  table: () => readFileSync('/proc/net/tcp', 'utf8'),
  forget: ({ id }) => {
    ends.get(id).socket.destroy()
    ends.delete(id)
  },
}

const accepted = new Map()

/** Adds TLS to the plain connections that it gets, and has no port. */
let overlay
/** Resolve with the TLS socket over the connection from a port. */
const overlays = new Map()

function serve() {
  overlay = tls.createServer({ ...certificate, allowHalfOpen: true }, (upper) => {
    overlays.get(upper.remotePort)(upper)
    overlays.delete(upper.remotePort)
  })
  const take = (socket) => {
    socket.pause()
    socket.on('error', () => undefined)
    accepted.set(`${socket.localPort}:${socket.remotePort}`, socket)
  }
  const plain = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, take)
  const secure = tls.createServer({ ...certificate, allowHalfOpen: true }, take)
  plain.listen(0, '127.0.0.1', () => {
    secure.listen(0, '127.0.0.1', () => {
      ready({ tcp: plain.address().port, tls: secure.address().port }, questions)
    })
  })
}

if (ports === undefined) serve()
else ready({}, questions)
