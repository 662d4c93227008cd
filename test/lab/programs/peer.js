'use strict'

/** One end of one connection, which does what the test says and reads only when told to. */
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
  /** Answers when the RST is out. */
  reset: () => new Promise((resolve) => socket.once('close', resolve).resetAndDestroy()),
  close: (options) => closeSocket(socket, options),
  /** Writes and closes in the same tick. */
  writeAndClose: ({ bytes, options }) => {
    socket.write(Buffer.alloc(bytes))
    return closeSocket(socket, options)
  },
  /** How often what is not acknowledged was sent again. */
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
