'use strict'

/** A server that does not read for the first `pauseMs` of a connection, and may send data in the meantime. */
const net = require('node:net')
const { config, ready } = require('./parent')

const { host, pauseMs, speaks } = config
/** The outcome of each connection. */
const seen = []

const server = net.createServer({ pauseOnConnect: true }, (socket) => {
  const connection = { bytes: 0, ended: false, closed: false }
  seen.push(connection)
  socket.on('data', (chunk) => {
    // The port of a client that has reset its connection is unknown, so its first byte identifies it.
    if (connection.bytes === 0) connection.client = chunk[0]
    connection.bytes += chunk.length
  })
  socket.on('end', () => (connection.ended = true))
  socket.on('error', ({ code }) => (connection.error = code))
  socket.on('close', () => (connection.closed = true))
  if (speaks) setTimeout(() => socket.write('a word\n'), pauseMs / 2)
  setTimeout(() => socket.resume(), pauseMs)
})

server.listen({ host, port: 0, backlog: 4096 }, () => {
  ready({ port: server.address().port }, { seen: () => seen })
})
