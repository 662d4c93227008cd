'use strict'

/** An HTTP or HTTPS server, tuned by `tuneServer` or not. */
const http = require('node:http')
const https = require('node:https')
const { Readable } = require('node:stream')
const { tuneServer } = require('../../../dist')
const { config, count, ready, warnings } = require('./parent')

const { host = '127.0.0.1', tls: certificate, keepAliveTimeout = 5_000, close } = config
const { answer: kind = 'plain' } = config
const body = Buffer.alloc(1000, 'b')
const seen = { connections: 0, requests: 0, closed: 0, errors: {}, warnings }

const answers = {
  plain: (response) => response.end(body),
  chunked(response) {
    response.write(body)
    response.write(body, () => response.end(body))
  },
  streamed(response) {
    response.setHeader('Content-Length', 3 * body.length)
    Readable.from([body, body, body]).pipe(response)
  },
}

function answer(request, response) {
  seen.requests++
  answers[kind](response)
}

const server = certificate
  ? https.createServer({ ...certificate, keepAliveTimeout }, answer)
  : http.createServer({ keepAliveTimeout }, answer)

server.on('connection', (socket) => {
  seen.connections++
  socket.on('close', () => seen.closed++)
})
server.on('clientError', ({ code }, socket) => {
  count(seen.errors, code)
  socket.destroy()
})

const tuning = close && tuneServer(server, { close })

server.listen({ host, port: 0, backlog: 4096 }, () => {
  ready(
    { port: server.address().port },
    { seen: () => ({ ...seen, counters: tuning?.counters() }) },
  )
})
