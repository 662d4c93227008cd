'use strict'

/** One end of many connections: does the steps that the test names, one at a time, and reports. */
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

/** Resolves when the stream has done what was asked for, or is closed. */
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
  destroy: (socket) => done(socket, 'close', () => socket.destroy()),
  destroySoon: (socket) => done(socket, 'close', () => socket.destroySoon()),
  reset: (socket) =>
    done(socket, 'close', () =>
      socket instanceof tls.TLSSocket ? socket.destroy() : socket.resetAndDestroy(),
    ),
  read: (socket) => void socket.resume(),
}

const questions = {
  open: ({ id, port, transport, version }) =>
    new Promise((resolve, reject) => {
      const to = { host: '127.0.0.1', port, allowHalfOpen: true }
      const socket =
        transport === 'tls'
          ? tls.connect({
              ...to,
              ca: certificate.cert,
              servername: 'localhost',
              maxVersion: version,
            })
          : net.connect(to)
      socket.pause()
      add(id, socket)
      socket.once('error', reject)
      socket.once(transport === 'tls' ? 'secureConnect' : 'connect', () => {
        resolve(socket.localPort)
      })
    }),
  /**
   * The accepted end of the connection between these ports. Each is taken once: a client's port comes again,
   * and may lead to both servers at the same time.
   */
  accepted: ({ id, port, clientPort }) => {
    const key = `${port}:${clientPort}`
    const socket = accepted.get(key)
    if (socket === undefined) return false
    accepted.delete(key)
    add(id, socket)
    return true
  },
  /** The policy that stands before anything else happens. */
  stand: ({ id, mode }) => {
    const { socket, outcomes } = ends.get(id)
    if (mode !== null) setCloseMode(socket, { mode, idleMs: 30_000 })
    observeClose(socket, (outcome) => outcomes.push(outcome))
  },
  step: ({ id, name }) => steps[name](ends.get(id).socket),
  /** Only begins it: some closes wait for the peer. */
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
  /** Bytes that the other end's kernel has not acknowledged, a FIN among them; 0 when it is closed. */
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

function serve() {
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
