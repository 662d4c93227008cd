'use strict'

/** An HTTP or HTTPS server for load generators. Reports the sources and the negotiated options of connections. */
const http = require('node:http')
const https = require('node:https')
const { tcpInfo } = require('../../../dist')
const { config, count, ready } = require('./parent')

const { tls: certificate } = config
const body = Buffer.alloc(1000, 'b')
const seen = { connections: 0, requests: 0, closed: 0, errors: {}, sources: {}, segments: {} }

function answer(request, response) {
  seen.requests++
  response.end(body)
}

// It never closes first.
const options = { keepAliveTimeout: 600_000, ...certificate }
const server = certificate
  ? https.createServer(options, answer)
  : http.createServer(options, answer)

server.on('connection', (socket) => {
  seen.connections++
  count(seen.sources, socket.remoteAddress)
  count(seen.segments, tcpInfo(socket).sndMss)
  socket.on('close', () => seen.closed++)
})
server.on('clientError', ({ code }, socket) => {
  count(seen.errors, code)
  socket.destroy()
})

server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
  ready({ port: server.address().port }, { seen: () => seen })
})
