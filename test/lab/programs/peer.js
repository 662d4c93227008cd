'use strict'

/** One end of a connection. Acts on requests of the test, and reads only on request. */
const net = require('node:net')
const { closeSocket, tcpInfo } = require('../../../dist')
const { config, ready, warnings } = require('./parent')

const { host, port } = config
const seen = { bytes: 0, ended: false, closed: false, warnings }
let socket

function use(connected) {
  socket = connected.pause()
  socket.on('data', ({ length }) => (seen.bytes += length))
  socket.on('end', () => (seen.ended = true))
  socket.on('error', ({ code }) => (seen.error = code))
  socket.on('close', () => (seen.closed = true))
}

const questions = {
  isConnected: () => socket !== undefined,
  write: (bytes) => void socket.write(Buffer.alloc(bytes)),
  read: () => void socket.resume(),
  end: () => void socket.end(),
  /** Answers once the RST has been sent. */
  reset: () => new Promise((resolve) => socket.once('close', resolve).resetAndDestroy()),
  close: (options) => closeSocket(socket, options),
  /** Writes and closes in the same tick. */
  writeAndClose: ({ bytes, options }) => {
    socket.write(Buffer.alloc(bytes))
    return closeSocket(socket, options)
  },
  /** Returns the number of retransmits of the unacknowledged data. */
  retransmits: () => tcpInfo(socket).retransmits,
  seen: () => seen,
}

if (port === undefined) {
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, use)
  server.listen({ host, port: 0 }, () => ready({ port: server.address().port }, questions))
} else {
  use(net.connect({ host, port, allowHalfOpen: true }))
  socket.once('connect', () => ready({}, questions))
}
