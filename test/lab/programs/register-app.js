'use strict'

/** An ordinary Express or Fastify application, without any reference to socket-tuner. */
const { config, count, ready, warnings } = require('./parent')

const { framework } = config
const body = Buffer.alloc(1000, 'b')
const seen = { connections: 0, requests: 0, closed: 0, errors: {}, warnings }

function watch(server) {
  server.on('connection', (socket) => {
    seen.connections++
    socket.on('close', () => seen.closed++)
    socket.on('error', ({ code }) => count(seen.errors, code))
  })
  const { port } = server.address()
  ready({ port }, { seen: () => seen })
}

function express() {
  const app = require('express')()
  app.get('/', (request, response) => {
    seen.requests++
    response.send(body)
  })
  const server = app.listen(0, '127.0.0.1', () => watch(server))
}

async function fastify() {
  const app = require('fastify')()
  app.get('/', async () => {
    seen.requests++
    return body
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  watch(app.server)
}

if (framework === 'express') express()
else void fastify()
