'use strict'

/** Answers each request of REQUEST bytes with ANSWER bytes, and reads until the client ends. */
const net = require('node:net')
const tls = require('node:tls')
const { ANSWER, REQUEST } = require('./sizes')
const { config, count, ready } = require('./parent')

const { host, tls: certificate } = config
const seen = { connections: 0, bytes: 0, ends: 0, closed: 0, errors: {} }

const server = certificate ? tls.createServer(certificate) : net.createServer()

server.on(certificate ? 'secureConnection' : 'connection', (socket) => {
  let received = 0
  seen.connections++
  socket.on('data', ({ length }) => {
    const wasComplete = received >= REQUEST
    received += length
    seen.bytes += length
    if (!wasComplete && received >= REQUEST) socket.write(Buffer.alloc(ANSWER, 'a'))
  })
  socket.on('end', () => seen.ends++)
  socket.on('error', ({ code }) => count(seen.errors, code))
  socket.on('close', () => seen.closed++)
})
server.on('tlsClientError', ({ code }) => count(seen.errors, code))

server.listen({ host, port: 0, backlog: 4096 }, () => {
  ready({ port: server.address().port }, { seen: () => seen })
})
